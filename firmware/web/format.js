// Figures, times and names as people read them.

/** Words that are written otherwise than they are spelt in the API. */
const WORDS = {
  api: "API", ca: "CA", dns: "DNS", h323: "H.323", id: "id", kbps: "(kbit/s)", "ms-sip": "MS-SIP", rtmp: "RTMP", sip: "SIP",
  tcp: "TCP", tls: "TLS", turn: "TURN", udp: "UDP", uri: "URI", url: "URL", webrtc: "WebRTC",
};

/** `max_in_kbps` is "Max in (kbit/s)". */
export function words(name) {
  if (WORDS[name]) return capital(WORDS[name]);
  const spoken = name.split(/[_-]/).map((word) => WORDS[word] ?? word).join(" ");
  return capital(spoken);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A rate in bit/s. */
export function rate(bps) {
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(2)} Mbit/s`;
  return `${Math.round(bps / 1000)} kbit/s`;
}

/** A length of time in seconds. */
export function duration(seconds) {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(whole % 60)}`;
  return `${minutes}:${two(whole % 60)}`;
}

/** A moment (RFC 3339), by the reader's clock. */
export function moment(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  return at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}

/** "1 call", "2 calls". */
export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

/** What a caller is called: by itself, or else by its address. */
export function callerOf(call) {
  return call.display_name || call.caller || "somebody";
}
