// One call as the live view shows it: its facts, its legs with a row for each stream, and who else is in the meeting. It is brought up to date each second.

import { button, facts, fill, h, place, say, sync } from "./dom.js";
import { callerOf, count, duration, rate, words } from "./format.js";
import { graph } from "./graph.js";
import { ask, notice } from "./notices.js";
import { looksAt, streamKey } from "./streams.js";

const COLUMNS = ["Stream", "Codec", "Bitrate", "Loss", "Jitter", "Picture", "Round trip"];
const DIRECTIONS = { receive: ["\u2193", "received"], send: ["\u2191", "sent"] };

/** The part of a page that shows a call; see `sync`. */
export function callPart(api) {
  return () => {
    const title = h("h3");
    const state = h("span", { class: "badge" });
    const about = h("div");
    const legs = h("div", { class: "legs" });
    const people = h("p", { class: "people" });
    let newest = null;
    const end = api.may("operator") ? button("End call", () => endCall(api, newest), { class: "danger small" }) : null;
    const node = h("article", { class: "call" }, h("div", { class: "head" }, title, state, end), about, legs, people);
    const update = (call) => {
      newest = call;
      say(title, callerOf(call));
      say(state, call.state);
      state.className = `badge ${call.state}`;
      end?.setAttribute("aria-label", `End the call of ${callerOf(call)}`);
      updateFacts(about, call);
      sync(legs, call.legs.map((leg, index) => ({ call, leg, index })), ({ index }) => index, legPart);
      say(people, call.participants.length === 0 ? "" : `${count(call.participants.length, "other")} in the meeting: ${call.participants.map(person).join(", ")}`);
    };
    return { node, update };
  };
}

function updateFacts(about, call) {
  const shown = [
    ["Dialled", call.alias], ["From", call.caller], ["For", duration(call.age_s)], ["Layout", call.layout],
    ["Rule", call.rule && h("a", { href: place("call-routing-rules", call.rule) }, call.rule)],
  ];
  // The link would lose the focus each second.
  const said = JSON.stringify([call.alias, call.caller, call.layout, call.rule]);
  if (about.said !== said) fill(about, facts(shown));
  else say(about.querySelector("dl > div:nth-of-type(3) dd") ?? about, duration(call.age_s));
  about.said = call.alias && call.caller ? said : undefined;
}

function person({ name, audio, video }) {
  const missing = [audio ? null : "muted", video ? null : "no picture"].filter(Boolean);
  return missing.length > 0 ? `${name} (${missing.join(", ")})` : name;
}

function legPart() {
  const title = h("h4");
  const aliases = h("ul", { class: "aliases" });
  const folded = h("details", {}, h("summary", {}, "Aliases"), aliases);
  const rows = h("tbody", { role: "rowgroup" });
  const head = COLUMNS.map((column) => h("th", { scope: "col", role: "columnheader" }, column));
  const caption = h("caption", { class: "unseen" });
  const none = h("p", { class: "empty" }, "No streams yet.");
  const table = h("table", { role: "table", class: "streams" }, caption, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), rows);
  const node = h("section", { class: "leg" }, h("div", { class: "head" }, title, folded), table, none);
  const update = ({ call, leg, index }) => {
    say(title, `${index === 0 ? "Caller" : "Conference"} by ${words(leg.protocol)}`);
    say(caption, `Streams of ${index === 0 ? "the caller" : "the conference"}`);
    sync(aliases, leg.aliases, (alias) => alias, (alias) => ({ node: h("li", {}, alias), update: () => {} }));
    table.hidden = leg.streams.length === 0;
    none.hidden = !table.hidden;
    const streams = leg.streams.map((stream) => ({ stream, key: streamKey(call, index, stream) }));
    sync(rows, streams, ({ key }) => key, streamPart);
  };
  return { node, update };
}

function streamPart() {
  const cells = COLUMNS.map((title) => h("td", { role: "cell", "data-title": title }));
  const [what, codec, bitrate, loss, jitter, picture, roundTrip] = cells;
  const graphs = { bps: graph("bitrate", 64000), loss: graph("loss", 5), jitter: graph("jitter", 20) };
  bitrate.append(graphs.bps.node);
  loss.append(graphs.loss.node);
  jitter.append(graphs.jitter.node);
  const update = ({ stream, key }) => {
    const looks = looksAt(key);
    const [arrow, spoken] = DIRECTIONS[stream.direction] ?? ["", stream.direction];
    say(what, `${arrow} ${stream.kind} ${spoken}`);
    say(codec, stream.codec);
    graphs.bps.update(looks.map((one) => one.bps), rate(stream.bps));
    graphs.loss.update(looks.map((one) => one.loss), `${stream.loss_percent.toFixed(1)} %`);
    graphs.jitter.update(looks.map((one) => one.jitter), `${stream.jitter_ms.toFixed(1)} ms`);
    say(picture, stream.resolution?.[0] > 0 ? `${stream.resolution.join("\u00d7")} at ${(stream.fps ?? 0).toFixed(0)}/s` : "\u2013");
    say(roundTrip, stream.round_trip_ms === null ? "\u2013" : `${stream.round_trip_ms.toFixed(1)} ms`);
    loss.classList.toggle("bad", stream.loss_percent >= 5);
  };
  return { node: h("tr", { role: "row" }, cells), update };
}

/** Ends a call, once asked. */
export async function endCall(api, call) {
  const who = callerOf(call);
  const ended = await ask({
    title: `End the call of ${who}?`,
    body: h("p", {}, "The room is put out of the meeting. The others stay."),
    answers: [{ text: "End call", kind: "danger", act: async () => {
      await api.write("DELETE", `/calls/${call.id}`);
    } }],
  });
  if (ended) notice(`The call of ${who} is ended.`);
}
