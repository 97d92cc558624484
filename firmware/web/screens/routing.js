// Routing: the rules in the order they are asked, and a box to try an alias, which shows the rule that takes it and why those before it do not.

import { fill, h, place, table } from "../dom.js";
import { formOf, makeForm } from "../form.js";
import { words } from "../format.js";
import { collectionScreen } from "../resource.js";

export const RULES = {
  title: "Call Routing Rules",
  one: "rule",
  collection: "call-routing-rules",
  schema: "CallRoutingRule",
  named: "name",
};

const editing = collectionScreen(RULES);

export const { title, route, role } = editing;

/** Shows the rules, or the editor of one. */
export async function show(root, api, context) {
  if (context.path.length > 0) return editing.show(root, api, context);
  const [rules, form] = await Promise.all([api.all(`/${route}`), formOf(api, "DryRun")]);
  rules.sort((a, b) => a.priority - b.priority || a.name.localeCompare(b.name));
  const list = h("div");
  const paint = (verdicts = []) => fill(list, table({ caption: "Rules in the order they are asked", columns: columns(verdicts), rows: rules, empty: "There is no rule yet; every call is refused." }));
  paint();
  fill(
    root,
    h("div", { class: "head" }, h("h1", { tabindex: -1 }, title), api.may("administrator") ? h("a", { class: "button main", href: place(route, "") }, "New rule") : null),
    h("p", { class: "soft" }, "The first rule that matches, lowest priority first, takes the call."),
    list,
    tryBox(api, form, paint),
  );
  api.hear("changed", () => context.again(), context.signal);
  return undefined;
}

const columns = (verdicts) => [
  { title: "Priority", cell: (rule) => rule.priority, number: true },
  { title: "Name", cell: (rule) => h("a", { href: place(route, rule.name) }, rule.name) },
  { title: "Matches", cell: (rule) => matches(rule.match ?? {}), wide: true },
  { title: "Becomes", cell: (rule) => (rule.replace ? h("code", {}, rule.replace) : "") },
  { title: "Goes to", cell: goes },
  { title: "Takes calls", cell: (rule) => (rule.enabled === false ? h("span", { class: "badge off" }, "off") : "yes") },
  ...(verdicts.length > 0 ? [{ title: "Tried", cell: (rule) => mark(verdicts.find((one) => one.rule === rule.name)) }] : []),
];

function matches(match) {
  const parts = [
    match.regex ? h("code", {}, match.regex) : "a meeting id at a domain of the gateway",
    match.protocols?.map(words).join(", "),
    match.calls?.join(", "),
    match.locations && `from ${match.locations.join(", ")}`,
    match.registered_only ? "registered devices" : null,
  ];
  return h("span", { class: "parts" }, parts.filter(Boolean).map((part) => h("span", {}, part)));
}

function goes({ target = "conference", connector, token, sip_proxy, h323_gatekeeper }) {
  return [words(target), connector, token, sip_proxy, h323_gatekeeper].filter(Boolean).join(", ");
}

function mark(verdict) {
  if (!verdict) return h("span", { class: "soft" }, "not asked");
  return h("span", { class: verdict.takes ? "badge good" : "badge off" }, verdict.takes ? "takes it" : "does not");
}

function tryBox(api, { fields, names }, paint) {
  const answer = h("div", { role: "status", class: "verdict" });
  const save = async (body) => {
    fill(answer);
    paint();
    const told = await api.post(`/${route}:dry-run`, body);
    paint(told.verdicts);
    fill(answer, verdict(body, told));
  };
  const form = makeForm({ fields, names, value: null, save, saveText: "Try" });
  return h("section", { class: "card try", "aria-labelledby": "try-title" }, h("h2", { id: "try-title" }, "Try an alias"), h("p", { class: "soft" }, "Nobody is called."), form.node, answer);
}

/** What the rules say of an alias that was tried. */
export function verdict(body, { rule, becomes, verdicts }) {
  const outcome = rule
    ? h("p", { class: "good" }, "Rule ", h("a", { href: place(route, rule) }, rule), " takes ", h("code", {}, body.alias), "; it becomes ", h("code", {}, becomes ?? ""), ".")
    : h("p", { class: "bad" }, "No rule takes ", h("code", {}, body.alias), "; the call would be refused.");
  const shown = [
    { title: "Priority", cell: (one) => one.priority, number: true },
    { title: "Rule", cell: (one) => one.rule },
    { title: "Verdict", cell: mark },
    { title: "Why", cell: (one) => one.why, wide: true },
  ];
  return h("div", {}, outcome, table({ caption: "What each rule says", columns: shown, rows: verdicts, empty: "No rule was asked." }));
}
