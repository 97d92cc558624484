// The live view: meetings, the callers in each, their legs and streams, as they are this second.

import { callPart } from "../call.js";
import { h, place, say, sync } from "../dom.js";
import { callerOf, count } from "../format.js";
import { callsOf, look } from "../streams.js";

export const title = "Live";
export const route = "live";
export const role = "viewer";

/** Shows the view. */
export async function show(root, api, { signal }) {
  const summary = h("p", { class: "summary", id: "live-summary" });
  const meetings = h("div", { class: "meetings" });
  const empty = h("div", { class: "card empty" }, h("p", {}, "No call stands."), h("p", {}, "A room that dials ", h("code", {}, "<meeting id>@<your domain>"), " shows here at once. ", h("a", { href: place("start") }, "First steps"), " leads through what is needed and ends with a test call."));
  const told = h("p", { class: "unseen", "aria-live": "polite" });
  root.append(h("h1", { tabindex: -1 }, title), summary, meetings, empty, told);
  let before = null;
  const update = (live) => {
    const calls = callsOf(live);
    say(summary, summaryOf(live, calls));
    summary.classList.toggle("bad", !live.taking_calls);
    empty.hidden = calls.length > 0;
    sync(meetings, groupsOf(live), (group) => group.key, () => meetingPart(api));
    if (before !== null) say(told, changesOf(before, calls) || told.textContent);
    before = calls;
  };
  const first = await api.get("/live");
  look(first);
  update(first);
  api.hear("live", update, signal);
}

function summaryOf(live, calls) {
  const parts = [count(live.conferences.length, "meeting"), count(calls.length, "call"), live.taking_calls ? "taking calls" : "taking no new calls: it is ending"];
  if (live.picture_latency_ms !== null) parts.push(`pictures take ${live.picture_latency_ms.toFixed(1)} ms`);
  if (live.blocked.length > 0) parts.push(count(live.blocked.length, "blocked source"));
  return parts.join(" \u00b7 ");
}

function groupsOf(live) {
  const meetings = live.conferences.map(({ connector, meeting, calls }) => ({ key: `${connector} ${meeting}`, title: `Meeting ${meeting}`, by: `by ${connector}, ${count(calls.length, "caller")}`, calls }));
  const unrouted = live.unrouted.length > 0 ? [{ key: "", title: "In no meeting yet", by: count(live.unrouted.length, "caller"), calls: live.unrouted }] : [];
  return [...meetings, ...unrouted];
}

function meetingPart(api) {
  const heading = h("h2");
  const by = h("span", { class: "soft" });
  const calls = h("div");
  const node = h("section", { class: "card meeting" }, h("div", { class: "head" }, heading, by), calls);
  const part = callPart(api);
  const update = (group) => {
    say(heading, group.title);
    say(by, group.by);
    sync(calls, group.calls, (call) => call.id, part);
  };
  return { node, update };
}

/** Who came and who went, for those who hear the page. */
function changesOf(before, now) {
  const ids = (calls) => new Set(calls.map((call) => call.id));
  const [old, young] = [ids(before), ids(now)];
  const came = now.filter((call) => !old.has(call.id)).map((call) => `${callerOf(call)} came`);
  const went = before.filter((call) => !young.has(call.id)).map((call) => `${callerOf(call)} left`);
  return [...came, ...went].join(", ");
}
