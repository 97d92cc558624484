// API tokens: for programs that speak to the box. The value is shown once.

import { button, copyable, fill, h, table } from "../dom.js";
import { formOf, makeForm } from "../form.js";
import { moment, words } from "../format.js";
import { ask, notice } from "../notices.js";
import { problemList } from "../resource.js";

export const title = "API tokens";
export const route = "api-tokens";
export const role = "administrator";

/** Shows them, and a form for a new one. */
export async function show(root, api) {
  const list = h("div");
  const once = h("div", { role: "status" });
  const paint = async () => fill(list, table({ caption: title, columns: columns(api, paint), rows: await api.all("/api-tokens"), empty: "There is no API token." }));
  const form = await formOf(api, "NewToken");
  await paint();
  const save = async (body) => {
    const token = await api.post("/api-tokens", body);
    fill(once, h("div", { class: "card once" }, h("h2", {}, `The token ${token.name}`), h("p", {}, "It is shown this once. Copy it now; the box keeps only its digest."), copyable(`The token ${token.name}`, token.value), button("I have copied it", () => fill(once))));
    made.write({});
    await paint();
  };
  const made = makeForm({ ...form, value: null, save, saveText: "Make a token" });
  fill(
    root,
    h("h1", { tabindex: -1 }, title),
    h("p", { class: "soft" }, "For programs that speak to the API, as ", h("code", {}, "Authorization: Bearer \u2026"), "."),
    list,
    once,
    h("section", { class: "card" }, h("h2", {}, "New API token"), made.node),
  );
}

const columns = (api, again) => [
  { title: "Name", cell: (token) => token.name },
  { title: "Role", cell: (token) => words(token.role) },
  { title: "Made", cell: (token) => moment(token.made) },
  { title: "By", cell: (token) => token.by },
  { title: "", cell: (token) => button("Delete", () => remove(api, token, again), { class: "danger small", "aria-label": `Delete the API token ${token.name}` }) },
];

async function remove(api, token, again) {
  const gone = await ask({
    title: `Delete API token ${token.name}?`,
    body: h("p", {}, "Programs that use it are refused from now on."),
    answers: [{ text: "Delete", kind: "danger", act: async () => {
      await api.write("DELETE", `/api-tokens/${encodeURIComponent(token.name)}`);
    } }],
    explain: problemList,
  });
  if (gone) {
    notice(`API token ${token.name} is removed.`);
    await again();
  }
}
