// Probe mode: the page measures what it sees and hears of each participant and reports it to the simulator.
//
// All times are performance.now() milliseconds. Shapes: src/probe.rs.

import { BLOCKS, COLUMNS, ROWS, blocksOf } from "./pattern.js";

const REPORT_EVERY = 500;
const PITCH_EVERY = 100;
const SNAPSHOT_WIDTH = 640;
const THRESHOLD = 128;

export class Probe {
  constructor() {
    this.watched = [];
    this.news = new Map();
    this.offsets = [];
    this.timers = [];
  }

  async start(room) {
    this.room = room;
    for (const tile of room.tiles) this.watched[tile.index] = new Sight(this, tile);
    this.timers.push(setInterval(() => this.report(), REPORT_EVERY));
    const sound = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
    this.sound = sound;
    await sound.audioWorklet.addModule("listen.js");
    await sound.resume();
    this.ears = room.tiles.map((tile) => new Ear(this, tile));
    this.timers.push(setInterval(() => this.listen(), PITCH_EVERY));
  }

  stop() {
    for (const timer of this.timers) clearInterval(timer);
    this.sound?.close();
  }

  seat(tile) {
    this.watched[tile.index]?.reset();
  }

  // What is to be reported of whoever is in `tile` now.
  of(tile) {
    if (!tile.participant) return null;
    if (!this.news.has(tile.participant)) {
      const name = this.room.roster.get(tile.participant)?.name ?? "";
      this.news.set(tile.participant, { name, frames: [], pitches: [], beeps: [], flashes: [] });
    }
    return this.news.get(tile.participant);
  }

  listen() {
    // The audio clock runs ahead in steps; the smallest offset of the last seconds is where a sample really is.
    this.offsets.push(performance.now() - this.sound.currentTime * 1000);
    if (this.offsets.length > 50) this.offsets.shift();
    for (const ear of this.ears) ear.pitch();
  }

  at(contextTime) {
    return contextTime * 1000 + Math.min(...this.offsets);
  }

  stats(stats) {
    const at = performance.now();
    for (const one of stats.values()) {
      if (one.type !== "inbound-rtp") continue;
      const tile = this.room.byMid.get(one.mid);
      const news = tile && this.of(tile);
      if (news) news[one.kind] = { ...plain(one), at };
    }
  }

  async report() {
    const room = this.room;
    const news = Object.fromEntries(this.news);
    this.news = new Map();
    if (Object.keys(news).length > 0) {
      await post(`page/sessions/${room.session}/probe`, "application/json", JSON.stringify(news));
    }
    for (const tile of room.tiles) {
      const png = tile.participant && (await this.watched[tile.index].snapshot());
      if (!png) continue;
      const remote = encodeURIComponent(tile.participant);
      await post(`page/sessions/${room.session}/snapshot?remote=${remote}`, "image/png", png);
    }
  }
}

class Sight {
  constructor(probe, tile) {
    this.probe = probe;
    this.tile = tile;
    this.pen = pen(320, 180);
    this.picture = pen(SNAPSHOT_WIDTH, 360);
    this.reset();
    const seen = (_, frame) => {
      this.see(frame);
      tile.video.requestVideoFrameCallback(seen);
    };
    tile.video.requestVideoFrameCallback(seen);
  }

  reset() {
    this.lit = null;
    this.fresh = false;
  }

  see({ mediaTime, presentationTime, width, height }) {
    const news = this.probe.of(this.tile);
    if (!news) return;
    this.fresh = true;
    const { canvas } = this.pen;
    this.pen.drawImage(this.tile.video, 0, 0, canvas.width, canvas.height);
    const number = this.number();
    news.frames.push({ mediaTime, at: presentationTime, number, width, height });
    const side = { x: (canvas.width * 5) / 8, y: (canvas.height * 5) / 8, w: canvas.width / 4, h: canvas.height / 4 };
    const lit = number === null ? null : this.mean(side.x, side.y, side.w, side.h) > THRESHOLD;
    if (lit === true && this.lit === false) news.flashes.push(presentationTime);
    if (lit !== null) this.lit = lit;
  }

  number() {
    const { width, height } = this.pen.canvas;
    const block = width / COLUMNS;
    const read = [];
    for (let index = 0; index < BLOCKS; index += 1) {
      read.push(this.mean(index * block, 0, block, height / ROWS) > THRESHOLD ? 1 : 0);
    }
    const number = read.slice(2, 18).reduce((sum, bit) => sum * 2 + bit, 0);
    return blocksOf(number).every((bit, index) => bit === read[index]) ? number : null;
  }

  // Mean brightness of the inner half of a rectangle.
  mean(x, y, width, height) {
    const [left, top] = [Math.round(x + width / 4), Math.round(y + height / 4)];
    const { data } = this.pen.getImageData(left, top, Math.max(1, width >> 1), Math.max(1, height >> 1));
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) sum += 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    return sum / (data.length / 4);
  }

  async snapshot() {
    const { videoWidth, videoHeight } = this.tile.video;
    if (!this.fresh || !videoWidth) return null;
    this.fresh = false;
    const { canvas } = this.picture;
    canvas.width = Math.min(SNAPSHOT_WIDTH, videoWidth);
    canvas.height = Math.round((canvas.width * videoHeight) / videoWidth);
    this.picture.drawImage(this.tile.video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }
}

class Ear {
  constructor(probe, tile) {
    this.probe = probe;
    this.tile = tile;
    const { sound } = probe;
    const beepHz = Number(new URLSearchParams(location.search).get("beep") ?? 1800);
    const source = sound.createMediaStreamSource(new MediaStream(tile.stream.getAudioTracks()));
    this.analyser = new AnalyserNode(sound, { fftSize: 4096, smoothingTimeConstant: 0 });
    this.bins = new Float32Array(this.analyser.frequencyBinCount);
    const listener = new AudioWorkletNode(sound, "listen", { processorOptions: { beepHz } });
    listener.port.onmessage = (event) => this.probe.of(tile)?.beeps.push(this.probe.at(event.data));
    const silent = new GainNode(sound, { gain: 0 });
    source.connect(this.analyser);
    source.connect(listener).connect(silent).connect(sound.destination);
  }

  pitch() {
    const news = this.probe.of(this.tile);
    if (!news) return;
    this.analyser.getFloatFrequencyData(this.bins);
    let top = 1;
    for (let bin = 2; bin < this.bins.length - 1; bin += 1) if (this.bins[bin] > this.bins[top]) top = bin;
    const [before, peak, after] = [this.bins[top - 1], this.bins[top], this.bins[top + 1]];
    const db = Number.isFinite(peak) ? peak : -200;
    // The peak of the parabola through the three highest bins.
    const shift = (before - after) / (2 * (before - 2 * peak + after));
    const width = this.probe.sound.sampleRate / this.analyser.fftSize;
    const hz = (top + (Number.isFinite(shift) ? shift : 0)) * width;
    news.pitches.push({ at: performance.now(), hz, db });
  }
}

function pen(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { alpha: false, willReadFrequently: true });
}

function plain(stats) {
  const names = [
    "frameWidth", "frameHeight", "framesDecoded", "framesDropped", "framesPerSecond", "keyFramesDecoded", "freezeCount",
    "bytesReceived", "packetsLost", "pliCount", "concealedSamples", "totalSamplesReceived", "audioLevel",
    "estimatedPlayoutTimestamp",
  ];
  return Object.fromEntries(names.filter((name) => name in stats).map((name) => [name, stats[name]]));
}

async function post(path, type, body) {
  try {
    await fetch(path, { method: "POST", headers: { "Content-Type": type }, body });
  } catch (error) {
    console.warn(`report: ${error.message}`);
  }
}
