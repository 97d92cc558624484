// The log-in, and how the first administrator is made.

import { fill, h } from "./dom.js";

/** Shows the log-in in `root`; `then` is called once somebody is in. */
export function showLogin(root, api, then, why = "") {
  const told = h("p", { class: "error", role: "alert" }, why);
  const name = h("input", { id: "name", name: "name", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" });
  const password = h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
  const enter = h("button", { type: "submit", class: "main" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    enter.disabled = true;
    fill(told);
    try {
      await api.logIn(name.value, password.value);
    } catch (problem) {
      fill(told, words(problem));
      enter.disabled = false;
      password.value = "";
      password.focus();
      return;
    }
    then();
  };
  fill(
    root,
    h(
      "form",
      { class: "login", "aria-labelledby": "login-title", on: { submit } },
      h("h1", { id: "login-title" }, "Log in"),
      told,
      h("div", { class: "field" }, h("label", { for: "name" }, "Name"), name),
      h("div", { class: "field" }, h("label", { for: "password" }, "Password"), password),
      h("div", { class: "bar" }, enter),
      h(
        "p",
        { class: "soft" },
        "A new box has no users. Claim it on its console; then log in here as ",
        h("code", {}, "admin"),
        " with the password of the console.",
      ),
    ),
  );
  name.focus();
}

function words(problem) {
  if (problem.status === 401) return "Wrong name or password. If nobody can log in yet, claim the box on its console; its password is admin's here.";
  if (problem.status !== 0) return problem.message;
  return "The box does not answer. After many wrong passwords it hears nobody from this address for a while: wait ten minutes, or have the address heard again on the console.";
}
