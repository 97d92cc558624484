// The box under the gateway: how it is, part by part; its settings, which come back by themselves if nobody confirms them; and what is done to it.
// What changes something takes the console's password: it is asked for once, and kept for as long as this screen is open.

import { button, download, facts, fill, freshId, h, place, say, table } from "../dom.js";
import { ask, notice, trouble } from "../notices.js";
import { problemList } from "../resource.js";

export const title = "Box";
export const route = "box";
export const role = "viewer";

const PARTS = { overview: "Overview", settings: "Settings", network: "Network", slots: "Slots", reasons: "Restarts", clock: "Clock", sensors: "Sensors", identity: "Identity" };
/** How often the box is looked at, in milliseconds. */
const LOOK = 5000;

/** Shows one part. */
export async function show(root, api, context) {
  const name = PARTS[context.path[0]] ? context.path[0] : "overview";
  const tabs = Object.entries(PARTS).map(([one, text]) => h("li", {}, h("a", { href: place(route, one), "aria-current": one === name ? "page" : null }, text)));
  const part = h("div");
  fill(root, h("h1", { tabindex: -1 }, name === "overview" ? title : `${title}: ${PARTS[name]}`), h("nav", { class: "tabs", "aria-label": "Parts of the box" }, h("ul", {}, tabs)), part);
  try {
    await (name === "overview" ? overview(part, api, context) : name === "settings" ? settings(part, api, context) : view(part, api, context, name));
  } catch (problem) {
    if (problem.status !== 404 && problem.status !== 503) throw problem;
    fill(part, problem.status === 404 ? h("p", { class: "empty" }, "This gateway runs on no box of its own: there is nothing to set up from here.") : trouble(problem, () => context.again()));
  }
}

/** Looks again and again while the screen is open; what fails once is looked at again. */
async function keepLooking(context, look) {
  await look();
  const every = setInterval(() => look().catch(() => {}), LOOK);
  context.signal.addEventListener("abort", () => clearInterval(every));
}

/** A part, as the console shows it. */
function view(part, api, context, name) {
  const lines = h("section", { class: "card" });
  fill(part, lines);
  return keepLooking(context, async () => {
    const { rows } = await api.get(`/box/views/${name}`);
    const columns = [{ title: "What", cell: (row) => row.label }, { title: "How it is", cell: (row) => row.value, wide: true }];
    fill(lines, table({ caption: PARTS[name], columns, rows }));
  });
}

async function overview(part, api, context) {
  const told = h("section", { class: "card" });
  fill(part, told);
  await keepLooking(context, async () => fill(told, how(await api.get("/box"))));
  if (api.may("administrator")) part.append(acts(api, context));
}

function how(found) {
  const cards = found.interfaces.map((card) => `${card.name}: ${card.link}${card.addresses.length > 0 ? `, ${card.addresses.join(", ")}` : ""}`);
  return h(
    "div",
    {},
    found.alarms.map((alarm) => h("p", { class: "warn" }, alarm)),
    stageOf(found) === "standing" ? null : h("p", { class: "warn" }, "A change of its settings waits: ", h("a", { href: place(route, "settings") }, "see the settings"), "."),
    facts([
      ["Name", found.host_name], ["How it is", found.summary], ["Release", found.version], ["Slot", found.slot],
      ["Serial number", found.serial_number], ["Network", cards.join("; ")], ["DNS", found.dns.join(", ")], ["Lamp", found.locate === "on" ? "it blinks" : null],
    ]),
  );
}

const stageOf = (found) => (typeof found.stage === "string" ? found.stage : "on-trial");

/** What is done on the administrator's word. `act` gets the password; a wrong one is told and asked for again. */
function onMyWord(context) {
  let word = null;
  context.signal.addEventListener("abort", () => { word = null; });
  return async ({ title: what, body, act, kind }) => {
    const explain = (problem) => problemList(problem);
    const input = h("input", { id: freshId("word"), type: "password", required: true, autocomplete: "current-password" });
    const typed = word === null ? h("div", { class: "field" }, h("label", { for: input.id }, "Password of the console"), input) : null;
    if (word !== null && body === undefined) return attempt(word);
    return ask({ title: what, body: h("div", {}, body ?? null, typed), answers: [{ text: what.replace(/\?$/, ""), kind: kind ?? null, act: () => attempt(word ?? input.value) }], explain });

    async function attempt(password) {
      try {
        const result = await act(password);
        word = password;
        return result ?? true;
      } catch (problem) {
        if (problem.status === 403) word = null;
        throw problem;
      }
    }
  };
}

function acts(api, context) {
  const word = onMyWord(context);
  const told = h("div");
  const done = (answer) => notice(answer.rows.map((row) => row.value).join("; "));
  const doing = (text, wanted) => button(text, async () => {
    fill(told);
    try {
      await word(wanted);
    } catch (problem) {
      fill(told, problemList(problem));
    }
  }, { class: wanted.kind ?? null });
  const simple = (path, more = {}) => async (password) => done(await api.post(path, { password, ...more }));
  const bundle = async (password) => {
    download("gantry-support.tar", "application/x-tar", await api.file("/box:support-bundle", { password }));
    notice("The support bundle is made; no secret is in it.");
  };
  const gone = (text) => h("p", {}, text);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Do something"),
    told,
    h(
      "div",
      { class: "bar" },
      doing("Blink for 5 minutes", { title: "Blink?", act: simple("/box:locate", { minutes: 5 }) }),
      doing("Support bundle", { title: "Make a support bundle?", act: bundle }),
      doing("Take no new calls", { title: "Take no new calls?", body: gone("Calls that stand may end; new ones are refused until calls are taken again."), act: simple("/box:drain") }),
      doing("Take calls again", { title: "Take calls again?", body: gone("The gateway starts anew: calls that still stand are cut off."), act: simple("/box:resume") }),
      doing("Restart", { title: "Restart the box?", kind: "danger", body: gone("Calls are given time to end, then the box restarts."), act: simple("/box:restart", { haste: "drained" }) }),
      doing("Switch off", { title: "Switch the box off?", kind: "danger", body: gone("Somebody must go there to switch it on again."), act: simple("/box:power-off", { haste: "drained" }) }),
    ),
    trying(api, word),
  );
}

/** Tries a way out of the box. */
function trying(api, word) {
  const told = h("div", { role: "status" });
  const id = freshId("way");
  const which = h("select", { id }, [["gateway", "the network\u2019s gateway"], ["dns", "the DNS records"], ["ntp", "the time servers"], ["conference", "the conference"]].map(([value, text]) => h("option", { value }, text)));
  const submit = async (event) => {
    event.preventDefault();
    fill(told);
    try {
      await word({ title: "Try it?", act: async (password) => {
        const { rows } = await api.post("/box:test", { password, which: which.value });
        fill(told, facts(rows.map((row) => [row.label || "Result", row.value])));
      } });
    } catch (problem) {
      fill(told, problemList(problem));
    }
  };
  return h("form", { class: "form", on: { submit } }, h("div", { class: "field" }, h("label", { for: id }, "Try the way to"), which), h("div", { class: "bar" }, h("button", { type: "submit" }, "Try")), told);
}

async function settings(part, api, context, word = onMyWord(context)) {
  const show = () => settings(part, api, context, word);
  const stage = h("div", { role: "status" });
  const form = h("form", { class: "card form" });
  const told = h("div");
  fill(part, stage, form);
  const found = await api.get("/box");
  const may = api.may("administrator");
  const inputs = found.settings.map(({ name, text }) => ({ name, text, id: freshId("setting"), input: null }));
  for (const one of inputs) one.input = h("input", { id: one.id, type: "text", value: one.text, readonly: !may, autocomplete: "off", spellcheck: "false" });
  const step = (path, what, body) => () => word({ title: what, body, act: async (password) => {
    const { rows } = await api.post(path, { password });
    notice(rows.map((row) => row.value).join("; "));
    await show();
  } }).catch((problem) => fill(told, problemList(problem)));
  const left = h("p");
  fill(stage, staged(found, may, step, left));
  // It counts down, and when it went by itself the settings are those from before.
  clearInterval(part.watch);
  part.watch = setInterval(async () => {
    const now = await api.get("/box").catch(() => found);
    if (stageOf(now) !== stageOf(found)) await show();
    else say(left, leftOf(now));
  }, LOOK);
  context.signal.addEventListener("abort", () => clearInterval(part.watch));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fill(told);
    const changes = Object.fromEntries(inputs.filter((one) => one.input.value !== one.text).map((one) => [one.name, one.input.value]));
    if (Object.keys(changes).length === 0) return fill(told, h("p", { class: "soft" }, "Nothing is changed."));
    try {
      await word({ title: "Write these changes down?", act: async (password) => {
        await api.post("/box/settings:stage", { password, changes });
        await show();
      } });
    } catch (problem) {
      fill(told, problemList(problem));
    }
  });
  fill(
    form,
    h("p", { class: "soft" }, "As the console has them. A change is written down, then put in force on trial: unless it is confirmed within two minutes, the settings before come back by themselves."),
    inputs.map((one) => h("div", { class: "field" }, h("label", { for: one.id }, h("code", {}, one.name)), one.input)),
    told,
    may ? h("div", { class: "bar" }, h("button", { type: "submit" }, "Write down")) : null,
  );
}

const leftOf = (found) => (stageOf(found) === "on-trial" ? `It is in force, on trial for ${found.stage["on-trial"]} s more.` : "It is written down, and not in force yet.");

/** Where a change is, and what can be done with it. */
function staged(found, may, step, left) {
  const where = stageOf(found);
  if (where === "standing") return [];
  const lines = h("ul", {}, found.difference.map((line) => h("li", {}, line)));
  say(left, leftOf(found));
  const steps = where === "on-trial"
    ? [button("Let it stand", step("/box/settings:confirm", "Let it stand?"), { class: "main" }), button("Go back", step("/box/settings:take-back", "Go back?"))]
    : [button("Put it in force, on trial", step("/box/settings:apply", "Put it in force?", h("p", {}, "If this page is not reachable afterwards, wait two minutes.")), { class: "main" }), button("Forget it", step("/box/settings:discard", "Forget it?"))];
  return h("section", { class: "card" }, h("h2", {}, "A change waits"), left, lines, may ? h("div", { class: "bar" }, steps) : null);
}
