// The page: joins a meeting, shows everybody, says what flows.
//
// What is spoken with the server: POST page/join, then the data channel "interop" as in firmware/proto/meet/PROTOCOL.md.
// Pictures and sounds come in pairs of slots; the server says with "slots" whose are in which.

import { Probe } from "./probe.js";
import { patternStream } from "./pattern.js";

const PAIRS = 8;
const LAYERS = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];

const query = new URLSearchParams(location.search);
const $ = (id) => document.getElementById(id);

class Tile {
  constructor(index) {
    this.index = index;
    this.element = $("tile").content.firstElementChild.cloneNode(true);
    this.video = this.element.querySelector("video");
    this.layer = this.element.querySelector(".layer");
    this.stream = new MediaStream();
    this.video.srcObject = this.stream;
    this.participant = null;
    this.mids = {};
  }

  text(where, what) {
    this.element.querySelector(where).textContent = what;
  }
}

class Room {
  constructor(local, session) {
    this.local = local;
    this.session = session;
    this.tiles = Array.from({ length: PAIRS }, (_, index) => new Tile(index));
    this.byMid = new Map();
    this.roster = new Map();
    this.slots = [];
    this.speaker = null;
    this.before = new Map();
    this.probe = query.get("probe") === "1" ? new Probe() : null;
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  }

  async join(meeting, pin, name) {
    const connection = this.connection;
    for (const track of this.local.getAudioTracks()) {
      connection.addTransceiver(track, { direction: "sendonly", streams: [this.local] });
    }
    for (const track of this.local.getVideoTracks()) {
      const many = query.get("simulcast") !== "0";
      const sendEncodings = many ? LAYERS : [{ maxBitrate: 1_500_000 }];
      connection.addTransceiver(track, { direction: "sendonly", streams: [this.local], sendEncodings });
    }
    const pairs = this.tiles.map((tile) => ({
      tile,
      audio: connection.addTransceiver("audio", { direction: "recvonly" }),
      video: connection.addTransceiver("video", { direction: "recvonly" }),
    }));
    this.channel = connection.createDataChannel("interop");
    this.channel.onmessage = (event) => this.hear(JSON.parse(event.data));
    this.channel.onopen = () => this.watch();
    connection.onconnectionstatechange = () => {
      document.body.dataset.connection = connection.connectionState;
      if (connection.connectionState === "failed") this.end("The connection was lost.");
    };
    await connection.setLocalDescription();
    const answer = await fetch("page/join", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ meeting, pin, name, sdpOffer: connection.localDescription.sdp }),
    });
    const reply = await answer.json();
    if (!answer.ok) throw new Error(explain(reply.code, reply.detail));
    await connection.setRemoteDescription({ type: "answer", sdp: reply.sdpAnswer });
    this.session = reply.session;
    this.participant = reply.participant;
    for (const { tile, audio, video } of pairs) {
      tile.mids = { audio: audio.mid, video: video.mid };
      tile.stream.addTrack(audio.receiver.track);
      tile.stream.addTrack(video.receiver.track);
      this.byMid.set(audio.mid, tile).set(video.mid, tile);
    }
    document.body.dataset.participant = reply.participant;
    this.show(meeting, name);
  }

  show(meeting, name) {
    $("entrance").hidden = true;
    $("room").hidden = false;
    $("title").textContent = `Meeting ${meeting}`;
    document.title = `${name} in ${meeting}`;
    this.self = new Tile(-1);
    this.self.element.classList.add("self");
    this.self.video.srcObject = this.local;
    this.self.video.muted = true;
    this.self.layer.remove();
    this.self.text(".who", `${name} (you)`);
    $("tiles").append(this.self.element);
    for (const tile of this.tiles) {
      tile.element.hidden = true;
      tile.layer.value = query.get("layer") ?? "auto";
      tile.layer.onchange = () => this.watch();
      $("tiles").append(tile.element);
    }
    const resized = new ResizeObserver(() => this.watchSoon());
    resized.observe($("tiles"));
    this.probe?.start(this);
    this.timer = setInterval(() => this.measure(), 1000);
    this.arrange();
  }

  hear(message) {
    switch (message.type) {
      case "state":
        if (message.state === "ended") this.end(explain(message.reason));
        break;
      case "roster":
        this.roster = new Map(message.participants.map((one) => [one.id, one]));
        this.arrange();
        break;
      case "slots":
        this.slots = message.slots;
        this.arrange();
        break;
      case "speaker":
        this.speaker = message.participant ?? null;
        this.arrange();
        break;
      case "indicators":
        $("recording").hidden = !message.recording;
        break;
      case "videoLock":
        $("locked").hidden = !message.locked;
        if (message.locked) this.mute("video", true);
        break;
      case "chat":
        this.wrote(message.name, message.text);
        break;
    }
  }

  arrange() {
    const seated = new Map();
    for (const slot of this.slots) {
      const tile = this.byMid.get(slot.mid);
      if (tile && slot.mid === tile.mids.video) seated.set(tile, slot.participant);
    }
    for (const tile of this.tiles) {
      const participant = seated.get(tile) ?? null;
      if (participant !== tile.participant) {
        tile.participant = participant;
        this.probe?.seat(tile);
        if (participant) tile.video.play().catch(() => {});
      }
      const known = this.roster.get(participant);
      const name = known?.name ?? "";
      tile.element.hidden = !participant;
      tile.element.classList.toggle("speaks", participant !== null && participant === this.speaker);
      tile.element.classList.toggle("dark", known?.video === false);
      tile.element.querySelector(".mute").hidden = known?.audio !== false;
      tile.text(".who", name);
      tile.text(".initial", [...name][0] ?? "");
    }
    const shown = 1 + seated.size;
    $("tiles").style.setProperty("--columns", Math.ceil(Math.sqrt(shown)));
    $("count").textContent = `${1 + this.roster.size} here`;
    this.watchSoon();
  }

  watchSoon() {
    clearTimeout(this.watching);
    this.watching = setTimeout(() => this.watch(), 150);
  }

  watch() {
    const seated = this.tiles.filter((tile) => tile.participant);
    const area = (tile) => tile.video.clientWidth * tile.video.clientHeight;
    seated.sort((a, b) => area(b) - area(a));
    const pixels = (length) => Math.min(4096, Math.max(1, Math.round(length * devicePixelRatio)));
    this.send({
      type: "watch",
      pictures: seated.slice(0, 8).map((tile) => ({
        participant: tile.participant,
        width: pixels(tile.video.clientWidth),
        height: pixels(tile.video.clientHeight),
        layer: tile.layer.value,
      })),
    });
  }

  send(message) {
    if (this.channel?.readyState === "open") this.channel.send(JSON.stringify(message));
  }

  mute(kind, off) {
    const tracks = kind === "audio" ? this.local.getAudioTracks() : this.local.getVideoTracks();
    for (const track of tracks) track.enabled = !off;
    $(kind === "audio" ? "mic" : "cam").setAttribute("aria-pressed", off);
    const isOff = (id) => $(id).getAttribute("aria-pressed") === "true";
    this.self.element.classList.toggle("dark", isOff("cam"));
    this.send({ type: "mute", audio: isOff("mic"), video: isOff("cam") });
  }

  wrote(name, text) {
    const line = document.createElement("li");
    const who = document.createElement("b");
    who.textContent = name;
    line.append(who, text);
    $("messages").append(line);
    line.scrollIntoView();
    if ($("chat").hidden) $("talk").click();
  }

  async measure() {
    const stats = await this.connection.getStats();
    this.probe?.stats(stats);
    let sent = 0;
    for (const one of stats.values()) {
      if (one.type === "outbound-rtp") sent += this.rate(one.id, one.timestamp, one.bytesSent);
      if (one.type !== "inbound-rtp" || one.kind !== "video") continue;
      const tile = this.byMid.get(one.mid);
      const kbps = this.rate(one.id, one.timestamp, one.bytesReceived);
      if (!tile?.participant) continue;
      const size = one.frameWidth ? `${one.frameWidth}×${one.frameHeight}` : "–";
      tile.text(".figures", `${size} · ${Math.round(one.framesPerSecond ?? 0)} fps · ${kbps} kbit/s`);
    }
    $("sending").textContent = `sending ${sent} kbit/s`;
  }

  rate(id, at, bytes) {
    const before = this.before.get(id);
    this.before.set(id, { at, bytes });
    if (!before || at <= before.at) return 0;
    return Math.round(((bytes - before.bytes) * 8) / (at - before.at));
  }

  leave() {
    this.send({ type: "leave" });
    navigator.sendBeacon(`page/sessions/${this.session}/leave`);
    this.end("You left the meeting.");
  }

  end(why) {
    clearInterval(this.timer);
    this.probe?.stop();
    this.connection.close();
    for (const track of this.local.getTracks()) track.stop();
    $("room").hidden = true;
    $("entrance").hidden = false;
    $("problem").textContent = why;
    $("tiles").replaceChildren();
    document.body.dataset.connection = "ended";
  }
}

function explain(code, detail) {
  const known = {
    MEETING_NOT_FOUND: "No meeting has this number.",
    MEETING_ENDED: "The meeting is over.",
    MEETING_FULL: "The meeting is full.",
    BAD_PIN: "The PIN is missing or wrong.",
    REMOVED: "You were removed from the meeting.",
    LEFT: "You left the meeting.",
    SERVER_ERROR: "The conference stopped.",
  };
  return known[code] ?? `The conference says ${code}. ${detail ?? ""}`;
}

async function localStream() {
  const probing = query.get("probe") === "1";
  if ((query.get("source") ?? (probing ? "pattern" : "camera")) === "pattern") {
    const [width, height] = (query.get("size") ?? "1280x720").split("x").map(Number);
    const number = (name, otherwise) => Number(query.get(name) ?? otherwise);
    return patternStream({ width, height, fps: number("fps", 30), hz: number("hz", 1000), beepHz: number("beep", 1800) });
  }
  // A measured tone must not be taken for noise or echo.
  const natural = !probing;
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: natural, noiseSuppression: natural, autoGainControl: natural },
    video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
  });
}

let room = null;

async function join() {
  $("problem").textContent = "";
  const local = await localStream().catch((error) => {
    throw new Error(`No camera or microphone: ${error.message}`);
  });
  room = new Room(local);
  try {
    await room.join($("meeting").value.trim(), $("pin").value.trim() || null, $("name").value.trim());
  } catch (error) {
    room.connection.close();
    for (const track of local.getTracks()) track.stop();
    throw error;
  }
}

$("join").onsubmit = (event) => {
  event.preventDefault();
  join().catch((error) => {
    $("problem").textContent = error.message;
    console.error(error);
  });
};
$("mic").onclick = () => room.mute("audio", $("mic").getAttribute("aria-pressed") !== "true");
$("cam").onclick = () => room.mute("video", $("cam").getAttribute("aria-pressed") !== "true");
$("talk").onclick = () => {
  $("chat").hidden = !$("chat").hidden;
  $("talk").setAttribute("aria-pressed", !$("chat").hidden);
};
$("say").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  room.send({ type: "chat", text });
  room.wrote("You", text);
  $("text").value = "";
};
$("leave").onclick = () => room.leave();
addEventListener("pagehide", () => {
  if (room?.session) navigator.sendBeacon(`page/sessions/${room.session}/leave`);
});

$("meeting").value = query.get("meeting") ?? "";
$("pin").value = query.get("pin") ?? "";
$("name").value = query.get("name") ?? "";
fetch("page/meetings")
  .then((answer) => answer.json())
  .then((meetings) => {
    for (const meeting of meetings) {
      const option = document.createElement("option");
      option.value = meeting.id;
      option.textContent = meeting.title;
      $("meetings").append(option);
    }
    if (!$("meeting").value && meetings.length > 0) $("meeting").value = meetings[0].id;
  });
if (query.get("autojoin") === "1") $("join").requestSubmit();
