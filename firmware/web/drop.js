// A text that is pasted, or read from a file that is dropped or chosen.

import { freshId, h, say } from "./dom.js";

/**
 * A field for a text: `{ node, input, read(), clear() }`. `most` is the largest file taken, in bytes, and `what` says what such a file is: "any chain".
 */
export function dropped({ label, placeholder, most, what, rows = 5 }) {
  const id = freshId("text");
  const input = h("textarea", { id, rows, spellcheck: "false", autocomplete: "off", placeholder });
  const file = h("input", { type: "file", id: freshId("file"), class: "unseen" });
  const told = h("span", { class: "soft", role: "status" });
  const take = async (chosen) => {
    if (!chosen) return;
    if (chosen.size > most) return say(told, `${chosen.name} is larger than ${what}`);
    input.value = await chosen.text();
    say(told, `read from ${chosen.name}`);
  };
  file.addEventListener("change", () => take(file.files[0]));
  const node = h("div", { class: "drop" }, h("label", { for: id }, label), input, file, h("label", { for: file.id, class: "button" }, "Read a file"), told);
  takesDrops(node, ({ files }) => take(files[0]));
  const clear = () => {
    input.value = "";
    say(told, "");
  };
  return { node, input, read: () => input.value, clear };
}

/** Has `take` get what is dropped on `node`. */
export function takesDrops(node, take) {
  node.addEventListener("dragover", (event) => {
    event.preventDefault();
    node.classList.add("over");
  });
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    node.classList.remove("over");
    take(event.dataTransfer);
  });
}
