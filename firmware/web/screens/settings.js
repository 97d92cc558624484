// The settings there is one of each.

import { fill, h, place } from "../dom.js";
import { formOf, makeForm } from "../form.js";
import { notice } from "../notices.js";
import { replace } from "../resource.js";

export const title = "Settings";
export const route = "settings";
export const role = "viewer";

const KINDS = {
  gateway: ["Gateway", "GatewaySettings", "The gateway itself: what callers dial."],
  sip: ["SIP", "SipSettings", "Signalling with SIP callers."],
  media: ["Media", "MediaSettings", "Sound and picture on the wire."],
  signalling: ["Signalling", "SignallingSettings", "Connections of the box\u2019s own."],
  admin: ["Administration", "AdminSettings", "This page and its API. A wrong address locks you out; the console does not."],
  phonebook: ["Phonebook", "PhonebookSettings", "How rooms look others up."],
  "one-touch-join": ["One-Touch Join", "OneTouchJoinSettings", "What of an invitation is dialled where no meeting processing rule says it."],
  defence: ["Defence", "DefenceSettings", "Who guesses too often is not heard for a while."],
  log: ["Log", "LogSettings", "What is logged, and where to."],
};

/** Shows one of them, chosen by its tab. */
export async function show(root, api, context) {
  const name = KINDS[context.path[0]] ? context.path[0] : "gateway";
  const [heading, , intro] = KINDS[name];
  const tabs = Object.entries(KINDS).map(([one, [text]]) => h("li", {}, h("a", { href: place(route, one), "aria-current": one === name ? "page" : null }, text)));
  const form = await settingsForm(api, name);
  fill(
    root,
    h("h1", { tabindex: -1 }, `Settings: ${heading}`),
    h("nav", { class: "tabs", "aria-label": "Sorts of settings" }, h("ul", {}, tabs)),
    h("p", { class: "soft" }, intro),
    form.node,
  );
}

/** The form of one of the settings; `done` is called once it is saved. */
export async function settingsForm(api, name, done = () => {}) {
  const [heading, schema] = KINDS[name];
  const path = `/settings/${name}`;
  const [form, found] = await Promise.all([formOf(api, schema), api.read(path)]);
  const state = { revision: found.revision, read: found.body };
  const save = async (body) => {
    if (!(await replace(api, path, body, state, made))) return;
    notice(`${heading} settings are saved.`);
    done();
  };
  const made = makeForm({ ...form, value: found.body, resource: () => `settings/${name}`, save, readonly: !api.may("administrator") });
  return made;
}
