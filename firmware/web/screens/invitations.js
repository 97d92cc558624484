// One-Touch Join: the meeting processing rules in the order they are asked, and a box to try an invitation, which shows the rule that finds an alias in it,
// why others do not, and where the alias leads.

import { button, facts, fill, h, place, table } from "../dom.js";
import { dropped } from "../drop.js";
import { words } from "../format.js";
import { trouble } from "../notices.js";
import { collectionScreen } from "../resource.js";
import { verdict } from "./routing.js";

const RULES = {
  title: "One-Touch Join",
  one: "meeting processing rule",
  collection: "meeting-processing-rules",
  schema: "MeetingProcessingRule",
  named: "name",
};

/** Largest invitation that is tried, in bytes. */
const INVITATION_BYTES = 262144;

const editing = collectionScreen(RULES);

export const { title, route, role } = editing;

/** Shows the rules, or the editor of one. */
export async function show(root, api, context) {
  if (context.path.length > 0) return editing.show(root, api, context);
  const [rules, settings] = await Promise.all([api.all(`/${route}`), api.get("/settings/one-touch-join")]);
  rules.sort((a, b) => a.priority - b.priority || a.name.localeCompare(b.name));
  const list = h("div");
  const paint = (verdicts = []) => fill(list, table({ caption: "Rules in the order they are asked", columns: columns(verdicts), rows: rules, empty: "There is no rule; default processing alone is asked." }));
  paint();
  fill(
    root,
    h("div", { class: "head" }, h("h1", { tabindex: -1 }, title), api.may("administrator") ? h("a", { class: "button main", href: place(route, "") }, "New rule") : null),
    h("p", { class: "soft" }, "What of an invitation in a room\u2019s calendar is dialled. The first rule that finds an alias, lowest priority first, gives it; the ", h("a", { href: place("call-routing-rules") }, "Call Routing Rules"), " take it from there."),
    list,
    h("p", {}, "After the rules: ", ...byDefault(settings), " ", h("a", { href: place("settings", "one-touch-join") }, "Change that"), "."),
    tryBox(api, paint),
  );
  api.hear("changed", () => context.again(), context.signal);
  return undefined;
}

function byDefault({ default_processing: on = true, guest_domain: domain }) {
  if (!on) return ["default processing is off."];
  if (!domain) return ["a ", h("code", {}, "sip:"), " URI is dialled; Meet links are passed over, for there is no guest domain."];
  return ["a ", h("code", {}, "sip:"), " URI is dialled, else the code of a Meet link at ", h("code", {}, domain), "."];
}

const columns = (verdicts) => [
  { title: "Priority", cell: (rule) => rule.priority, number: true },
  { title: "Name", cell: (rule) => h("a", { href: place(route, rule.name) }, rule.name) },
  { title: "Looks for", cell: (rule) => h("span", { class: "parts" }, [words(rule.type), rule.domain && h("code", {}, rule.domain), rule.regex && h("code", {}, rule.regex)].filter(Boolean).map((part) => h("span", {}, part))), wide: true },
  { title: "Dials", cell: (rule) => (rule.template ?? rule.replace ? h("code", {}, rule.template ?? rule.replace) : "") },
  { title: "Asked", cell: (rule) => (rule.enabled === false ? h("span", { class: "badge off" }, "off") : "yes") },
  ...(verdicts.length > 0 ? [{ title: "Tried", cell: (rule) => mark(verdicts.find((one) => one.rule === rule.name)) }] : []),
];

function mark(one) {
  if (!one) return h("span", { class: "soft" }, "not asked");
  return h("span", { class: one.gives ? "badge good" : "badge off" }, one.gives ? "gives it" : "does not");
}

function tryBox(api, paint) {
  const answer = h("div", { role: "status", class: "verdict" });
  const invitation = dropped({ label: "Invitation (paste its text, or drop an .ics file here)", placeholder: "BEGIN:VCALENDAR", most: INVITATION_BYTES, what: "any invitation", rows: 8 });
  const attempt = async () => {
    fill(answer);
    paint();
    if (invitation.read().trim() === "") return fill(answer, trouble("There is no invitation to try yet."));
    try {
      const told = await api.post(`/${route}:dry-run`, { body: invitation.read() });
      paint(told.verdicts);
      fill(answer, outcome(told));
    } catch (problem) {
      fill(answer, trouble(problem));
    }
  };
  return h("section", { class: "card try", "aria-labelledby": "try-title" }, h("h2", { id: "try-title" }, "Try an invitation"), h("p", { class: "soft" }, "Nobody is called, and nothing of it is kept."), invitation.node, h("div", { class: "bar" }, button("Try", attempt, { class: "main" })), answer);
}

function outcome({ subject, starts, ends, cancelled, text, alias, rule, verdicts, routing }) {
  const by = rule ? ["Rule ", h("a", { href: place(route, rule) }, rule)] : ["Default processing"];
  const found = alias
    ? h("p", { class: "good" }, ...by, " finds ", h("code", {}, alias), ".")
    : h("p", { class: "bad" }, "Nobody finds an alias in it; a room would have nothing to dial.");
  const shown = [
    { title: "Priority", cell: (one) => one.priority ?? "", number: true },
    { title: "Rule", cell: (one) => one.rule ?? "default processing" },
    { title: "Verdict", cell: mark },
    { title: "Why", cell: (one) => one.why, wide: true },
  ];
  return h(
    "div",
    {},
    found,
    cancelled ? h("p", { class: "warn" }, "It was called off: rooms don\u2019t show it.") : null,
    facts([["Subject", subject], ["Begins", at(starts)], ["Ends", at(ends)]]),
    table({ caption: "What each meeting processing rule says", columns: shown, rows: verdicts }),
    routing ? h("h3", {}, "Where it leads") : null,
    routing ? verdict({ alias }, routing) : null,
    h("details", {}, h("summary", {}, "The text that rules search in"), h("pre", { tabindex: 0, "aria-label": "The text that rules search in" }, text)),
  );
}

const CLOCKS = { utc: " UTC", wall: " where it takes place", calendar: "" };

function at(moment) {
  if (!moment) return "";
  const told = moment.clock === "calendar" ? moment.at.slice(0, 10) : moment.at.replace("T", " ");
  return `${told}${CLOCKS[moment.clock]}`;
}
