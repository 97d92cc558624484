// First steps: a domain, a connector, an access token, a rule, and then a test call that is waited for here.

import { fill, h, place, say } from "../dom.js";
import { callerOf, rate } from "../format.js";
import { formOf } from "../form.js";
import { editor } from "../resource.js";
import { callsOf } from "../streams.js";
import { ACCESS_TOKENS, CONNECTORS } from "./resources.js";
import { RULES } from "./routing.js";
import { settingsForm } from "./settings.js";

export const title = "First steps";
export const route = "start";
export const role = "administrator";

/** What a first rule looks like: every meeting id at the domain goes into the conference. */
const FIRST_RULE = { name: "meetings", priority: 100 };

/** The form of a first resource of its kind: a new one, or the one that is there. */
const first = (kind, value) => async (api, done) => {
  const [form, page] = await Promise.all([formOf(api, kind.schema), api.get(`/${kind.collection}?limit=1`)]);
  const name = page.items[0]?.[kind.named] ?? null;
  const found = name === null ? null : await api.read(`/${kind.collection}/${encodeURIComponent(name)}`);
  return editor(api, kind, { form, found, name, value, done, cancel: false }).node;
};

const STEPS = [
  { title: "Domain", intro: "What callers dial after the @. Its DNS records are on the DNS screen.", form: async (api, done) => (await settingsForm(api, "gateway", done)).node },
  { title: "Connector", intro: "The conference that calls are carried into.", form: first(CONNECTORS, { name: "meet" }) },
  { title: "Access token", intro: "What the conference\u2019s administrator gave. Drop the file on the field, or write it.", form: first(ACCESS_TOKENS, null) },
  { title: "Rule", intro: "The first rule sends every meeting id into the conference; it may stay as it is.", form: first(RULES, FIRST_RULE) },
  { title: "Test call", intro: "Dial a meeting from a room system.", form: testCall },
];

/** Shows the first step that is not done, or the one that is asked for. */
export async function show(root, api, context) {
  const done = await stepsDone(api);
  // A box comes with some domain; whether it is the right one is for whoever begins here.
  const next = done.slice(1).some((is) => is) ? done.indexOf(false) : 0;
  const asked = Number(context.path[0]);
  const current = asked >= 1 && asked <= STEPS.length ? asked - 1 : next;
  const step = STEPS[current];
  const form = await step.form(api, () => forward(api, context, current), context.signal);
  fill(
    root,
    h("h1", { tabindex: -1 }, `${title}: ${step.title}`),
    h("nav", { class: "steps", "aria-label": "Steps" }, h("ol", {}, STEPS.map((one, index) => stepLink(one, index, current, done[index])))),
    h("section", { class: "card" }, h("p", {}, step.intro), form),
  );
}

/** The step after this one that is not done yet. */
async function forward(api, context, current) {
  const done = await stepsDone(api);
  const next = done.findIndex((is, index) => index > current && !is);
  context.go(route, String((next < 0 ? STEPS.length - 1 : next) + 1));
}

function stepLink({ title: text }, index, current, done) {
  return h("li", { class: done ? "done" : null }, h("a", { href: place(route, String(index + 1)), "aria-current": index === current ? "step" : null }, text, done ? h("span", { class: "soft" }, " (done)") : null));
}

async function stepsDone(api) {
  const any = async (kind) => (await api.get(`/${kind.collection}?limit=1`)).items.length > 0;
  const [gateway, ...rest] = await Promise.all([api.get("/settings/gateway"), any(CONNECTORS), any(ACCESS_TOKENS), any(RULES)]);
  return [(gateway.domains ?? []).length > 0, ...rest, false];
}

/** Says what to dial, and waits until a call comes. */
async function testCall(api, done, signal) {
  const [gateway, now] = await Promise.all([api.get("/settings/gateway"), api.get("/live")]);
  const digits = gateway.meeting_digits ?? 13;
  const alias = h("code", { class: "alias" }, `<${digits} digits>@${gateway.domains?.[0] ?? "<domain>"}`);
  const state = h("p", { class: "waiting" });
  const call = h("div");
  const before = new Set(callsOf(now).map(({ id }) => id));
  const update = (live) => {
    const came = callsOf(live).find(({ id }) => !before.has(id));
    if (!came) return call.childElementCount > 0 || say(state, "Waiting for a call\u2026");
    fill(call, seen(came));
    return say(state, "A call has come.");
  };
  api.hear("live", update, signal);
  update(now);
  return h(
    "div",
    {},
    h("p", {}, "Open a meeting, take its id from the invitation, and dial on the room system:"),
    h("p", {}, alias),
    h("p", { class: "soft" }, "If nothing comes: is the DNS there (", h("a", { href: place("dns-plan") }, "DNS plan"), "), are the ports open (", h("a", { href: place("firewall-plan") }, "firewall plan"), "), does a rule take the alias (", h("a", { href: place("call-routing-rules") }, "try it"), ")? A call that was refused is in the ", h("a", { href: place("calls") }, "calls"), "."),
    h("div", { role: "status" }, state),
    call,
  );
}

function seen(call) {
  const flows = call.legs.flatMap(({ streams }) => streams).filter(({ bps }) => bps > 0);
  const good = call.state === "connected" && flows.length > 0;
  const total = flows.reduce((sum, { bps }) => sum + bps, 0);
  return h(
    "div",
    { class: good ? "verdict good" : "verdict" },
    h("p", {}, h("strong", {}, callerOf(call)), ` dialled ${call.alias ?? "something"}: ${call.state}.`),
    h("p", {}, good ? `Sound and picture flow: ${flows.length} streams, ${rate(total)}. The gateway works.` : "Nothing flows yet."),
    h("p", {}, h("a", { href: place("live") }, "See it in the live view")),
  );
}
