// Users: who may log in, and what they may.

import { button, fill, h, place, table } from "../dom.js";
import { formOf, makeForm } from "../form.js";
import { words } from "../format.js";
import { ask, notice } from "../notices.js";
import { problemList } from "../resource.js";

export const title = "Users";
export const route = "users";
export const role = "administrator";

const columns = [
  { title: "Name", cell: (user) => h("a", { href: place(route, user.name) }, user.name) },
  { title: "Role", cell: (user) => words(user.role) },
];

/** Shows them, or the editor of one. */
export async function show(root, api, context) {
  const [name] = context.path;
  const users = await api.all("/users");
  if (name !== undefined) return showUser(root, api, context, users.find((user) => user.name === name) ?? null);
  fill(
    root,
    h("div", { class: "head" }, h("h1", { tabindex: -1 }, title), h("a", { class: "button main", href: place(route, "") }, "New user")),
    h("p", { class: "soft" }, "A viewer may look. An operator may also end calls and have blocked sources heard again. An administrator may change everything."),
    table({ caption: title, columns, rows: users }),
  );
  return undefined;
}

async function showUser(root, api, context, user) {
  const form = await formOf(api, "User");
  const done = () => context.go(route);
  const save = async (body) => {
    // A user is what they are called: there is no renaming.
    const name = user?.name ?? body.name ?? "";
    await api.write("PUT", `/users/${encodeURIComponent(name)}`, { ...body, name });
    notice(`User ${name} is saved${user ? "; whoever was logged in by that name is logged out" : ""}.`);
    if (name !== api.session?.name) done();
    else await api.resume().catch(() => {});
  };
  const more = [button("Cancel", done, { class: "quiet" }), user ? button("Delete", () => remove(api, user, done), { class: "danger" }) : null];
  const made = makeForm({ ...form, value: user, save, more });
  if (user) made.input("name").readOnly = true;
  fill(root, h("p", { class: "crumb" }, h("a", { href: place(route) }, title)), h("h1", { tabindex: -1 }, user ? `User ${user.name}` : "New user"), made.node);
}

async function remove(api, user, done) {
  const gone = await ask({
    title: `Delete user ${user.name}?`,
    body: h("p", {}, "They are logged out at once."),
    answers: [{ text: "Delete", kind: "danger", act: async () => {
      await api.write("DELETE", `/users/${encodeURIComponent(user.name)}`);
    } }],
    explain: problemList,
  });
  if (gone) {
    notice(`User ${user.name} is removed.`);
    done();
  }
}
