// One input for each sort of field: `{ node, read(), write(value), input }`. What is left empty reads as `undefined`.

import { freshId, h, say } from "./dom.js";
import { takesDrops } from "./drop.js";
import { words } from "./format.js";

/** Largest file that is read into a field, in bytes. */
const FILE_BYTES = 64 * 1024;

/** The input of a field; `names` are those of the resources that it may name. */
export function inputOf(field, id, names, describedBy) {
  const common = { id, name: field.path, "aria-describedby": describedBy, "aria-required": field.required ? "true" : null };
  switch (field.sort) {
    case "number":
      return number(common);
    case "flag":
      return choice({ ...field, options: ["true", "false"] }, common, { true: "Yes", false: "No" }, (text) => text === "true");
    case "choice":
      return field.named ? named(field, common, names) : choice(field, common);
    case "choices":
      return choices(field, common, names);
    case "lines":
      return lines(common);
    case "secret":
      return secret(common);
    default:
      return text(field, common);
  }
}

function text(field, common) {
  const input = field.long
    ? h("textarea", { ...common, rows: 2 })
    : h("input", { ...common, type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  return {
    node: input,
    input,
    read: () => (input.value === "" ? undefined : input.value),
    write: (value) => {
      input.value = value ?? "";
    },
  };
}

function number(common) {
  const input = h("input", { ...common, type: "text", inputmode: "numeric", autocomplete: "off", class: "short" });
  // What is no number goes as it is, so that the box says what is wrong with it.
  const read = () => {
    const written = input.value.trim();
    if (written === "") return undefined;
    return /^-?\d+$/.test(written) ? Number(written) : written;
  };
  return { node: input, input, read, write: (value) => {
    input.value = value ?? "";
  } };
}

function choice(field, common, spoken = {}, meant = (text) => text) {
  const none = field.required ? [] : [h("option", { value: "" }, "left out")];
  const options = field.options.map((option) => h("option", { value: option }, spoken[option] ?? words(option)));
  const input = h("select", common, none, options);
  return {
    node: input,
    input,
    read: () => (input.value === "" ? undefined : meant(input.value)),
    write: (value) => {
      input.value = value === undefined || value === null ? (field.required ? field.options[0] : "") : String(value);
    },
  };
}

/** A choice among resources. A name that is none of them (any more) stays, for the box to say so. */
function named(field, common, names) {
  const spoken = Object.fromEntries(names.map((name) => [name, name]));
  const one = choice({ ...field, options: names }, common, spoken);
  const write = (value) => {
    if (value && !names.includes(value)) one.input.append(h("option", { value }, `${value} (is not there)`));
    one.write(value);
  };
  return { ...one, write };
}

function choices(field, common, names) {
  const options = field.options ?? names;
  const boxes = options.map((option) => {
    const id = freshId("choice");
    const box = h("input", { type: "checkbox", id, value: option });
    return { option, box, node: h("span", { class: "check" }, box, h("label", { for: id }, field.options ? words(option) : option)) };
  });
  const node = h("div", { id: common.id, class: "checks", role: "group", "aria-labelledby": `${common.id}-label`, "aria-describedby": common["aria-describedby"], tabindex: -1 });
  node.append(...boxes.map(({ node: one }) => one));
  if (boxes.length === 0) node.append(h("span", { class: "soft" }, "There are none yet."));
  let strange = [];
  const read = () => {
    const chosen = [...boxes.filter(({ box }) => box.checked).map(({ option }) => option), ...strange];
    return chosen.length === 0 ? undefined : chosen;
  };
  const write = (value = []) => {
    strange = value.filter((one) => !options.includes(one));
    for (const { option, box } of boxes) box.checked = value.includes(option);
  };
  return { node, input: node, read, write };
}

function lines(common) {
  const input = h("textarea", { ...common, rows: 2, autocapitalize: "none", spellcheck: "false" });
  const read = () => {
    const all = input.value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    return all.length === 0 ? undefined : all;
  };
  const write = (value) => {
    input.value = (value ?? []).join("\n");
    input.rows = Math.max(2, (value ?? []).length + 1);
  };
  return { node: input, input, read, write, each: true };
}

/** What is written and never read. It may be typed, or read from a file that is dropped or chosen. */
function secret(common) {
  const input = h("input", { ...common, type: "password", autocomplete: "new-password" });
  const told = h("span", { class: "soft", role: "status" });
  const file = h("input", { type: "file", id: freshId("file"), class: "unseen" });
  const pick = h("label", { for: file.id, class: "button" }, "Read a file");
  const take = async (chosen) => {
    if (!chosen) return;
    if (chosen.size > FILE_BYTES) return say(told, `${chosen.name} is larger than any such secret`);
    const content = (await chosen.text()).trim();
    if (/[\r\n]/.test(content)) return say(told, `${chosen.name} holds more than one line`);
    input.value = content;
    say(told, content === "" ? `${chosen.name} is empty` : `read from ${chosen.name}`);
  };
  file.addEventListener("change", () => take(file.files[0]));
  const node = h("div", { class: "drop" }, input, file, pick, told);
  takesDrops(node, (data) => {
    if (data.files[0]) take(data.files[0]);
    else input.value = data.getData("text/plain").trim();
  });
  const write = (value, kept) => {
    input.value = value ?? "";
    input.placeholder = kept ? "kept; write here to change it" : "";
  };
  return { node, input, read: () => (input.value === "" ? undefined : input.value), write };
}
