// The moving, numbered test pattern and its tone, as a camera and a microphone would deliver them.
//
//  ┌──┬──┬──┬── … ──┬──┬──┐  top ninth: 19 blocks, each a twentieth of the width, from the left edge:
//  │██│  │b15│ … │b0│ p│  │  white, black, 16 bits of the frame's number (most significant first, white is 1), even parity
//  ├──┴──┴──┴── … ──┴──┴──┤
//  │ texture, with a bar   │
//  │   that moves   ┌─────┐│
//  │                │flash││  x and y from 5/8 to 7/8: white while the beep sounds, else black
//  └────────────────┴─────┘┘

export const BLOCKS = 19;
export const COLUMNS = 20;
export const ROWS = 9;
const BEEP_EVERY = 1.0;
const BEEP_FOR = 0.1;
const TONE = 0.15;
const BEEP = 0.5;
// Sound from an audio graph reaches the encoder this much later than a drawn frame does: the median over two idle and
// two busy Chromium 156, judged by the same ears that find a room of exact timing at 0 ms.
const SOUND_LAG = 0.03;

export function blocksOf(number) {
  const bits = Array.from({ length: 16 }, (_, index) => (number >> (15 - index)) & 1);
  const parity = bits.reduce((sum, bit) => sum ^ bit, 0);
  return [1, 0, ...bits, parity];
}

export async function patternStream({ width, height, fps, hz, beepHz }) {
  const sound = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
  await sound.resume();
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const ground = texture(width, height);
  const video = canvas.captureStream(0);
  const [track] = video.getVideoTracks();
  let number = 0;
  const draw = () => {
    drawFrame(pen, ground, number, (sound.currentTime + BEEP_EVERY - SOUND_LAG) % BEEP_EVERY < BEEP_FOR);
    track.requestFrame();
    number = (number + 1) & 0xffff;
  };
  draw();
  setInterval(draw, 1000 / fps);
  return new MediaStream([track, ...tone(sound, hz, beepHz).getAudioTracks()]);
}

function drawFrame(pen, ground, number, flash) {
  const { width, height } = pen.canvas;
  pen.drawImage(ground, 0, 0);
  const bar = (number * 7) % (width - (width >> 4));
  pen.fillStyle = "#333";
  pen.fillRect(bar, Math.floor(height / ROWS), width >> 4, Math.floor(height / 2 - height / ROWS));
  blocksOf(number).forEach((lit, index) => {
    const left = Math.floor((width * index) / COLUMNS);
    const right = Math.floor((width * (index + 1)) / COLUMNS);
    pen.fillStyle = lit ? "#fff" : "#000";
    pen.fillRect(left, 0, right - left, Math.floor(height / ROWS));
  });
  pen.fillStyle = flash ? "#fff" : "#000";
  pen.fillRect((width * 5) / 8, (height * 5) / 8, width / 4, height / 4);
}

function texture(width, height) {
  const ground = document.createElement("canvas");
  ground.width = width;
  ground.height = height;
  const pen = ground.getContext("2d", { alpha: false });
  for (let y = 0; y < height; y += 8) {
    for (let x = 0; x < width; x += 8) {
      const hash = Math.imul(x + 1, 0x9e3779b1) ^ Math.imul(y + 1, 0x85ebca77);
      const grey = 110 + ((hash >>> 13) & 31);
      pen.fillStyle = `rgb(${grey} ${grey} ${grey})`;
      pen.fillRect(x, y, 8, 8);
    }
  }
  return ground;
}

function tone(sound, hz, beepHz) {
  const out = sound.createMediaStreamDestination();
  const voice = (frequency) => {
    const oscillator = sound.createOscillator();
    const gain = sound.createGain();
    oscillator.frequency.value = frequency;
    gain.gain.value = 0;
    oscillator.connect(gain).connect(out);
    oscillator.start();
    return gain.gain;
  };
  const [steady, beep] = [voice(hz), voice(beepHz)];
  let planned = Math.floor(sound.currentTime);
  const plan = () => {
    for (; planned < sound.currentTime + 3; planned += BEEP_EVERY) {
      steady.setValueAtTime(0, planned);
      beep.setValueAtTime(BEEP, planned);
      steady.setValueAtTime(TONE, planned + BEEP_FOR);
      beep.setValueAtTime(0, planned + BEEP_FOR);
    }
  };
  plan();
  setInterval(plan, 500);
  return out.stream;
}
