// The box: how it is, and its configuration as an archive to keep elsewhere.

import { download, facts, fill, freshId, h } from "../dom.js";
import { duration } from "../format.js";
import { ask, notice, trouble } from "../notices.js";
import { problemList } from "../resource.js";

export const title = "System";
export const route = "system";
export const role = "viewer";

/** Shows both. */
export async function show(root, api, context) {
  const health = h("div");
  const look = async () => fill(health, healthFacts(await api.get("/health")));
  await look();
  fill(root, h("h1", { tabindex: -1 }, title), h("section", { class: "card" }, h("h2", {}, "How it is"), health));
  if (api.may("administrator")) root.append(exporting(api), importing(api, look));
  const every = setInterval(() => look().catch(() => {}), 10000);
  context.signal.addEventListener("abort", () => clearInterval(every));
  api.hear("changed", () => look().catch(() => {}), context.signal);
}

function healthFacts(health) {
  const waits = health.restart_needed_for;
  return h(
    "div",
    {},
    waits.length > 0 ? h("p", { class: "warn" }, `Waits for a restart of the gateway: ${waits.join(", ")}.`) : null,
    health.unreadable_secrets.length > 0 ? h("p", { class: "bad" }, `Secrets that can\u2019t be opened any more; enter them anew: ${health.unreadable_secrets.map((one) => `${one.field} of ${one.resource}`).join(", ")}.`) : null,
    health.audit_trouble ? h("p", { class: "bad" }, `The audit log: ${health.audit_trouble}`) : null,
    facts([
      ["Calls", health.taking_calls ? `taking calls, ${health.calls} now` : `taking no new calls, ${health.calls} now`],
      ["Release", health.version],
      ["Running for", duration(health.uptime_s)],
      ["Configuration", `change ${health.revision}`],
      ["Secrets at rest", `sealed by ${health.secrets_sealed_by}`],
    ]),
  );
}

function field(text, hint, attributes) {
  const id = freshId("system");
  const input = h("input", { id, "aria-describedby": `${id}-hint`, ...attributes });
  return { input, node: h("div", { class: "field" }, h("label", { for: id }, text), input, h("p", { class: "hint", id: `${id}-hint` }, hint)) };
}

function exporting(api) {
  const phrase = field("Passphrase", "Encrypts the archive, secrets included: 10 characters or more. Without one, no secret is in it.", { type: "password", autocomplete: "new-password" });
  const told = h("div");
  const submit = async (event) => {
    event.preventDefault();
    fill(told);
    try {
      const archive = await api.post("/backup:export", phrase.input.value === "" ? {} : { passphrase: phrase.input.value });
      phrase.input.value = "";
      download("gantry-configuration.json", "application/json", JSON.stringify(archive, null, 1));
      notice("The configuration is exported.");
    } catch (problem) {
      fill(told, problemList(problem));
    }
  };
  return h("form", { class: "card form", on: { submit } }, h("h2", {}, "Export the configuration"), phrase.node, told, h("div", { class: "bar" }, h("button", { type: "submit" }, "Export")));
}

function importing(api, done) {
  const file = field("Archive", "As it was exported.", { type: "file", accept: ".json,application/json", required: true });
  const phrase = field("Passphrase", "If it was encrypted.", { type: "password", autocomplete: "off" });
  const signer = field("Key of another box", "Where the archive is of another box: the key that it is signed by.", { type: "text", autocomplete: "off", spellcheck: "false" });
  const told = h("div");
  const bring = async (archive) => {
    const body = { archive };
    if (phrase.input.value !== "") body.passphrase = phrase.input.value;
    if (signer.input.value.trim() !== "") body.trusted_signer = signer.input.value.trim();
    const { revision, restart_needed_for: waits } = await api.post("/backup:import", body);
    notice(`The archive is the configuration now (change ${revision}).${waits.length > 0 ? ` Waits for a restart: ${waits.join(", ")}.` : ""}`);
  };
  const submit = async (event) => {
    event.preventDefault();
    fill(told);
    try {
      const archive = JSON.parse(await file.input.files[0].text());
      const body = h("p", {}, "Everything that is configured now is replaced by what is in the archive.");
      const made = await ask({ title: "Import this archive?", body, answers: [{ text: "Import", kind: "danger", act: () => bring(archive) }], explain: problemList });
      if (made) await done();
    } catch (problem) {
      fill(told, trouble(problem instanceof SyntaxError ? new Error("this file is no archive of a configuration") : problem));
    }
  };
  return h("form", { class: "card form", on: { submit } }, h("h2", {}, "Import a configuration"), file.node, phrase.node, signer.node, told, h("div", { class: "bar" }, h("button", { type: "submit" }, "Import\u2026")));
}
