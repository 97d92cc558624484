// Finds the onsets of a beep of a known pitch: its level in each block of 128 samples (Goertzel).

const ON = 0.08;
const OFF = 0.04;
const QUIET_BLOCKS = 60;

class Listen extends AudioWorkletProcessor {
  constructor({ processorOptions: { beepHz } }) {
    super();
    this.coefficient = 2 * Math.cos((2 * Math.PI * beepHz) / sampleRate);
    this.quiet = 0;
  }

  process([[samples]]) {
    if (!samples) return true;
    const level = this.level(samples);
    if (level > ON) {
      if (this.quiet >= QUIET_BLOCKS) this.port.postMessage(currentTime);
      this.quiet = 0;
    } else if (level < OFF) {
      this.quiet += 1;
    }
    return true;
  }

  level(samples) {
    let [last, before] = [0, 0];
    for (const sample of samples) [last, before] = [sample + this.coefficient * last - before, last];
    const power = last * last + before * before - this.coefficient * last * before;
    return (2 * Math.sqrt(Math.max(0, power))) / samples.length;
  }
}

registerProcessor("listen", Listen);
