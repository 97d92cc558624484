// Elements, made without HTML text: what callers choose to be called stays text.

const SVG = "http://www.w3.org/2000/svg";
let made = 0;

/** An id that nothing else on the page has. */
export function freshId(prefix) {
  made += 1;
  return `${prefix}-${made}`;
}

/** An element. `on` among its attributes are listeners; `true` is an attribute without a value, `false` and `null` are none. */
export function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/** An element of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...content(children));
  return element;
}

function content(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...content(children));
}

/** Sets an element's text where it differs, so that a reader's selection stays. */
export function say(element, text) {
  const wanted = text ?? "";
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Brings what `container` holds in line with `items`: each has a part `{ node, update(item) }` that stays as long as its key is among them, so
 * that focus, selection and what is unfolded stay too.
 */
export function sync(container, items, keyOf, make) {
  container.parts ??= new Map();
  const before = container.parts;
  const now = new Map();
  let place = container.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const part = before.get(key) ?? make(item);
    now.set(key, part);
    part.update(item);
    if (part.node === place) place = place.nextSibling;
    else container.insertBefore(part.node, place);
  }
  for (const [key, part] of before) if (!now.has(key)) part.node.remove();
  container.parts = now;
}

/**
 * A table. A column is `{ title, cell(row), number, wide }`; a cell is text or a node. On a phone each row is a card whose cells carry the titles of their
 * columns; roles are written out, because a table that is laid out as blocks loses them.
 */
export function table({ caption, columns, rows, empty = "Nothing yet." }) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  const head = columns.map((column) =>
    h("th", { scope: "col", role: "columnheader", class: column.number ? "number" : null }, column.title),
  );
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, rows.map((row) => tableRow(columns, row))),
    ),
  );
}

function tableRow(columns, row) {
  const cells = columns.map((column) =>
    h(
      "td",
      { role: "cell", "data-title": column.title, class: column.number ? "number" : column.wide ? "wide" : null },
      column.cell(row),
    ),
  );
  return h("tr", { role: "row" }, cells);
}

/** Names and values in pairs; pairs without a value are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** A button. */
export function button(text, click, attributes = {}) {
  return h("button", { type: "button", on: { click }, ...attributes }, text);
}

/** A link to a screen: `go("locations", "Berlin")` is `#/locations/Berlin`. */
export function place(...parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** Text in a box with a button that copies it. */
export function copyable(title, text) {
  const told = h("span", { role: "status", class: "soft" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(told, "copied");
    } catch {
      const range = document.createRange();
      range.selectNodeContents(box);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      say(told, "selected; copy it with the keyboard");
    }
  };
  const box = h("pre", { tabindex: 0, "aria-label": title }, text);
  return h("div", { class: "copyable" }, h("div", { class: "bar" }, button("Copy", copy), told), box);
}

/** Gives the browser a file to keep. */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}
