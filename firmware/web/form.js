// A form made of fields: its labels and hints, its values as a body, and problems at the fields that they are about.

import { Problem } from "./api.js";
import { button, fill, freshId, h } from "./dom.js";
import { inputOf } from "./inputs.js";
import { collectionsOf, fieldsOf } from "./schema.js";
import { words } from "./format.js";

/** The fields of `schema`, and the names of all that they may name. */
export async function formOf(api, schema) {
  const fields = fieldsOf(await api.document(), schema);
  const names = await Promise.all(collectionsOf(fields).map(async (collection) => {
    const items = await api.all(`/${collection}`);
    return [collection, items.map((item) => item.name)];
  }));
  return { fields, names: Object.fromEntries(names) };
}

/**
 * A form. `save(body)` does what it is for and may refuse by a problem; `resource` is what a problem calls the resource that is edited, such as
 * `call-routing-rules/meetings`. `value` is what is edited, or `null` for something new.
 */
export function makeForm({ fields, names = {}, value, resource = () => "", saveText = "Save", save, more = [], readonly = false }) {
  const inputs = new Map();
  const summary = h("div", { class: "summary-errors", role: "alert", tabindex: -1 });
  const submitter = h("button", { type: "submit", class: "main" }, saveText);
  const nodes = (folded) => fields.filter((field) => field.folded === folded).map((field) => fieldNode(field, names, inputs));
  const seldom = nodes(true);
  const fold = seldom.length > 0 ? h("details", { class: "more" }, h("summary", {}, "What is seldom needed"), seldom) : null;
  const body = h("fieldset", { class: "plain", disabled: readonly }, nodes(false), fold);
  const show = (problem) => showProblem(problem, resource(), summary, inputs);
  const submit = async (event) => {
    event.preventDefault();
    clear(summary, inputs);
    submitter.disabled = true;
    try {
      check(inputs);
      await save(read(fields, inputs));
    } catch (problem) {
      show(problem);
    } finally {
      submitter.disabled = false;
    }
  };
  write(fields, inputs, value ?? {}, value !== null);
  if (fold) fold.open = fields.some((field) => field.folded && value?.[field.name] !== undefined);
  const node = h("form", { class: "form", novalidate: true, on: { submit } }, summary, body);
  node.append(h("div", { class: "bar" }, readonly ? null : submitter, more));
  return { node, show, read: () => read(fields, inputs), write: (anew) => write(fields, inputs, anew, true), input: (path) => inputs.get(path)?.input };
}

function fieldNode(field, names, inputs) {
  if (field.sort === "group") {
    const inside = field.fields.map((one) => fieldNode(one, names, inputs));
    return h("fieldset", { class: "group" }, h("legend", {}, field.label), hintNode(field, freshId("hint")), inside);
  }
  const id = freshId("field");
  const [hintId, errorId] = [`${id}-hint`, `${id}-error`];
  const input = inputOf(field, id, names[field.named] ?? [], `${hintId} ${errorId}`);
  const error = h("p", { class: "error", id: errorId });
  inputs.set(field.path, { ...input, field, error });
  const label = field.sort === "choices" ? h("span", { class: "label", id: `${id}-label` }, field.label) : h("label", { for: id }, field.label);
  if (field.required) label.append(h("span", { class: "soft" }, " (needed)"));
  return h("div", { class: "field" }, label, input.node, hintNode(field, hintId), error);
}

function hintNode(field, id) {
  const each = field.sort === "lines" ? " One on each line." : "";
  return h("p", { class: "hint", id }, field.hint + each);
}

function write(fields, inputs, value, kept) {
  for (const field of fields) {
    if (field.sort === "group") write(field.fields, inputs, value[field.name] ?? {}, kept);
    else inputs.get(field.path).write(value[field.name], kept);
  }
}

function read(fields, inputs) {
  const body = {};
  for (const field of fields) {
    const value = field.sort === "group" ? read(field.fields, inputs) : inputs.get(field.path).read();
    const nothing = value === undefined || (field.sort === "group" && Object.keys(value).length === 0);
    if (!nothing) body[field.name] = value;
  }
  return body;
}

/** What can be seen without asking the box: what is needed and missing, and what is no number. */
function check(inputs) {
  const wrong = [...inputs].flatMap(([path, { field, read: value }]) => {
    const written = value();
    if (written === undefined) return field.required ? [{ resource: "", field: path, message: "is missing" }] : [];
    return field.sort === "number" && typeof written !== "number" ? [{ resource: "", field: path, message: "is no whole number" }] : [];
  });
  if (wrong.length > 0) throw new Problem({ status: 0, detail: "it can't be sent as it is", errors: wrong });
}

function clear(summary, inputs) {
  fill(summary);
  for (const { error, input } of inputs.values()) {
    fill(error);
    input.removeAttribute("aria-invalid");
  }
}

/** Shows each error at its field, and all of them in the summary, which is read out. */
function showProblem(problem, resource, summary, inputs) {
  const errors = problem.errors ?? [];
  const listed = errors.map((error) => errorLine(error, resource, inputs));
  if (listed.length === 0) fill(summary, h("p", {}, problem.message));
  else fill(summary, h("p", {}, "Nothing is saved yet:"), h("ul", {}, listed));
  const first = errors.map((error) => ours(error, resource, inputs)).find((input) => input);
  for (const { input } of inputs.values()) {
    const fold = input.closest("details");
    if (fold && input.hasAttribute("aria-invalid")) fold.open = true;
  }
  if (first) first.input.focus();
  else summary.focus();
}

function ours(error, resource, inputs) {
  if (error.resource !== "" && error.resource !== resource) return null;
  return inputs.get(error.field.replace(/\[\d+\]/g, "")) ?? null;
}

function errorLine(error, resource, inputs) {
  const input = ours(error, resource, inputs);
  if (!input) return h("li", {}, elsewhere(error));
  const row = /\[(\d+)\]$/.exec(error.field);
  const text = row && input.each ? `line ${Number(row[1]) + 1} ${error.message}` : error.message;
  input.error.append(h("span", {}, text), " ");
  input.input.setAttribute("aria-invalid", "true");
  return h("li", {}, button(`${input.field.label} ${text}`, () => input.input.focus(), { class: "quiet" }));
}

/** An error of another resource, with a link to it. */
export function elsewhere(error) {
  const [collection, ...rest] = error.resource.split("/");
  const name = rest.join("/");
  const text = `${error.field} ${error.message}`.trim();
  if (!name) return text;
  const link = h("a", { href: `#/${collection}/${encodeURIComponent(name)}` }, `${words(collection)}: ${name}`);
  return h("span", {}, link, ` \u2014 ${text}`);
}
