// Screens of resources: a list with an editor for each, made of the API's own schemas.

import { button, fill, h, place, table } from "./dom.js";
import { elsewhere, formOf, makeForm } from "./form.js";
import { ask, notice, trouble } from "./notices.js";

/** What stands for something new in a path; no resource has an empty name. */
const NEW = "";

/**
 * A screen of a collection. `kind` is `{ title, one, collection, schema, named, columns, intro, empty }`: `named` is the field that is a resource's name, and `id(item)` says
 * what its path ends with, where that is more. `beside(api, name)` makes what else there is of one.
 */
export function collectionScreen(kind) {
  const show = async (root, api, context) => {
    const [name] = context.path;
    if (name === undefined) await showList(root, api, kind, context);
    else await showEditor(root, api, kind, name === NEW ? null : name, context);
  };
  return { title: kind.title, route: kind.collection, role: "viewer", show };
}

/** What a resource's path ends with. */
const idOf = (kind, item) => kind.id?.(item) ?? item[kind.named];

async function showList(root, api, kind, context) {
  const items = await api.all(`/${kind.collection}`);
  const named = { title: "Name", cell: (item) => h("a", { href: place(kind.collection, idOf(kind, item)) }, item[kind.named]) };
  const make = api.may("administrator") ? h("a", { class: "button main", href: place(kind.collection, NEW) }, `New ${kind.one}`) : null;
  fill(
    root,
    h("div", { class: "head" }, h("h1", { tabindex: -1 }, kind.title), make),
    h("p", { class: "soft" }, kind.intro),
    table({ caption: kind.title, columns: [named, ...kind.columns], rows: items, empty: kind.empty ?? `There is no ${kind.one} yet.` }),
  );
  api.hear("changed", () => context.again(), context.signal);
}

async function showEditor(root, api, kind, name, context) {
  const path = name === null ? null : `/${kind.collection}/${encodeURIComponent(name)}`;
  const [form, found, beside] = await Promise.all([formOf(api, kind.schema), path ? api.read(path) : null, path ? kind.beside?.(api, name).catch((problem) => trouble(problem)) : null]);
  const title = name === null ? `New ${kind.one}` : `${capital(kind.one)} ${name}`;
  fill(
    root,
    h("p", { class: "crumb" }, h("a", { href: place(kind.collection) }, kind.title)),
    h("h1", { tabindex: -1 }, title),
    editor(api, kind, { form, found, name, done: () => context.go(kind.collection) }).node,
    beside,
  );
}

/** An editor of one resource, new if `found` is `null`; `done` is called once it is saved or removed, or nothing is to be done. */
export function editor(api, kind, { form, found = null, name = null, value = null, done, cancel = true }) {
  const path = name === null ? null : `/${kind.collection}/${encodeURIComponent(name)}`;
  const may = api.may("administrator");
  const state = { revision: found?.revision, read: found?.body ?? null };
  const called = () => `${kind.collection}/${name ?? made.read()[kind.named] ?? ""}`;
  const save = async (body) => {
    if (path === null) await api.write("POST", `/${kind.collection}`, body);
    else if (!(await replace(api, path, body, state, made))) return;
    notice(`${capital(kind.one)} ${body[kind.named]} is saved.`);
    done();
  };
  const more = [
    cancel ? button(may ? "Cancel" : "Back", done, { class: "quiet" }) : null,
    may && path ? button("Delete", () => remove(api, kind, path, name, state, done), { class: "danger" }) : null,
  ];
  const made = makeForm({ ...form, value: found?.body ?? value, resource: called, save, more, readonly: !may });
  if (found === null && value !== null) made.write(value);
  return made;
}

/** Replaces what is at `path`. Where somebody else changed it meanwhile, asks what shall stand; `false` if nothing was saved. */
export async function replace(api, path, body, state, form) {
  try {
    const saved = await api.write("PUT", path, body, state.revision);
    Object.assign(state, { revision: saved.revision, read: saved.body });
    return true;
  } catch (problem) {
    if (problem.status !== 412 && problem.status !== 409) throw problem;
    const theirs = await api.read(path);
    if (theirs.revision === state.revision) throw problem;
    return decide(api, path, body, state, form, theirs);
  }
}

function decide(api, path, body, state, form, theirs) {
  const names = [...new Set([...Object.keys(theirs.body), ...Object.keys(state.read ?? {})])];
  const changed = names.filter((name) => JSON.stringify(theirs.body[name]) !== JSON.stringify(state.read?.[name]));
  const lines = changed.map((name) => h("li", {}, `${name}: `, h("code", {}, JSON.stringify(theirs.body[name]) ?? "removed")));
  return ask({
    title: "It was changed meanwhile",
    body: [h("p", {}, "Somebody else has saved it since you opened it. Nothing of yours is saved yet. They have now:"), h("ul", {}, lines)],
    answers: [
      { text: "Save mine over theirs", kind: "danger", act: async () => {
        const saved = await api.write("PUT", path, body, theirs.revision);
        Object.assign(state, { revision: saved.revision, read: saved.body });
      } },
      { text: "Take theirs", act: () => {
        Object.assign(state, { revision: theirs.revision, read: theirs.body });
        form.write(theirs.body);
        return "theirs";
      } },
    ],
    explain: problemList,
  }).then((answer) => answer === true);
}

/** Removes a resource, once asked; if it is in use, says by whom. */
async function remove(api, kind, path, name, state, done) {
  const gone = await ask({
    title: `Delete ${kind.one} ${name}?`,
    body: h("p", {}, "It can't be brought back, except from a backup."),
    answers: [{ text: "Delete", kind: "danger", act: async () => {
      await api.write("DELETE", path, undefined, state.revision);
    } }],
    explain: problemList,
  });
  if (gone) {
    notice(`${capital(kind.one)} ${name} is removed.`);
    done();
  }
}

/** A problem with everything that stands in the way. */
export function problemList(problem) {
  const lines = (problem.errors ?? []).map((error) => h("li", { on: { click: (event) => event.target.closest("a") && event.target.closest("dialog")?.close() } }, elsewhere(error)));
  return h("div", { class: "trouble" }, h("p", {}, problem.message), lines.length > 0 ? h("ul", {}, lines) : null);
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
