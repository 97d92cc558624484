// Calls: those that stand, and those that are over, with why they ended.

import { endCall } from "../call.js";
import { button, facts, fill, h, table } from "../dom.js";
import { callerOf, duration, moment, rate, words } from "../format.js";
import { ask } from "../notices.js";
import { callsOf } from "../streams.js";

export const title = "Calls";
export const route = "calls";
export const role = "viewer";

/** Records of one page. */
const PAGE = 50;

const standing = (api) => [
  { title: "Caller", cell: callerOf },
  { title: "Dialled", cell: (call) => call.alias ?? "" },
  { title: "State", cell: (call) => h("span", { class: `badge ${call.state}` }, call.state) },
  { title: "For", cell: (call) => duration(call.age_s), number: true },
  { title: "Rule", cell: (call) => call.rule ?? "" },
  { title: "", cell: (call) => (api.may("operator") ? button("End call", () => endCall(api, call), { class: "danger small", "aria-label": `End the call of ${callerOf(call)}` }) : "") },
];

const over = [
  { title: "Ended", cell: (record) => moment(record.ended) },
  { title: "Caller", cell: (record) => callerOf(record.call) },
  { title: "Dialled", cell: (record) => record.call.alias ?? "" },
  { title: "Meeting", cell: (record) => record.call.meeting?.id ?? "" },
  { title: "Lasted", cell: (record) => duration(record.seconds), number: true },
  { title: "Ended by", cell: (record) => `${record.fault}: ${spaced(record.cause)}` },
  { title: "", cell: (record) => button("How it stood", () => showEnd(record), { class: "small", "aria-label": `How the call of ${callerOf(record.call)} stood` }) },
];

/** Shows both lists. */
export async function show(root, api, context) {
  const now = h("div");
  const past = h("div");
  const records = [];
  const paint = (live) => {
    // A list under the keyboard stays as it is; it is brought up to date at the next look.
    if (!now.contains(document.activeElement)) fill(now, table({ caption: "Calls that stand", columns: standing(api), rows: callsOf(live), empty: "No call stands." }));
  };
  const [live] = await Promise.all([api.get("/live"), more(api, records, past)]);
  paint(live);
  root.append(
    h("h1", { tabindex: -1 }, title),
    h("section", { class: "card" }, h("h2", {}, "Standing"), now),
    h("section", { class: "card" }, h("div", { class: "head" }, h("h2", {}, "Over"), h("a", { class: "button", href: "/api/v1/call-history.csv", download: "call-history.csv" }, "Download as a table (CSV)")), past),
  );
  let count = callsOf(live).length;
  api.hear("live", (seen) => {
    paint(seen);
    const ended = callsOf(seen).length < count;
    count = callsOf(seen).length;
    if (ended && !past.contains(document.activeElement)) more(api, records, past, true).catch(() => {});
  }, context.signal);
}

/** Reads a page further into the past, or the newest anew. */
async function more(api, records, past, anew = false) {
  const last = anew ? null : records.at(-1)?.seq;
  const page = await api.get(`/call-history?limit=${PAGE}${last ? `&before=${last}` : ""}`);
  if (anew) records.length = 0;
  records.push(...page.items);
  fill(
    past,
    table({ caption: "Calls that are over, the newest first", columns: over, rows: records, empty: "No call is over yet." }),
    page.next ? button("Older calls", () => more(api, records, past)) : null,
  );
}

/** How a call stood when it ended. */
function showEnd({ began, call }) {
  const streams = call.legs.flatMap((leg, index) => leg.streams.map((stream) => ({ leg: index === 0 ? "Caller" : "Conference", protocol: words(leg.protocol), ...stream })));
  const columns = [
    { title: "Leg", cell: (stream) => `${stream.leg} by ${stream.protocol}` },
    { title: "Stream", cell: (stream) => `${stream.kind} ${stream.direction === "send" ? "sent" : "received"}` },
    { title: "Codec", cell: (stream) => stream.codec },
    { title: "Bitrate", cell: (stream) => rate(stream.bps), number: true },
    { title: "Packets", cell: (stream) => stream.packets, number: true },
    { title: "Lost", cell: (stream) => stream.lost, number: true },
  ];
  const told = facts([["Began", moment(began)], ["From", call.caller], ["Rule", call.rule], ["Layout", call.layout]]);
  const body = [told, table({ caption: "Streams when it ended", columns, rows: streams, empty: "It had no streams." })];
  ask({ title: `The call of ${callerOf(call)}`, body, answers: [], leave: "Close", broad: true });
}

/** `HungUp` is "hung up". */
function spaced(cause) {
  return cause.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
}
