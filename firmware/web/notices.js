// What the page tells besides: notices that go by themselves, questions that wait for an answer, problems in the place of what was wanted.

import { button, freshId, h } from "./dom.js";

/** A notice stays so long, in milliseconds; one that tells of a failure stays until it is closed. */
const STAYS = 6000;
/** Most notices at a time. */
const MOST = 4;

/** Tells something in a corner; readers of the screen hear it. */
export function notice(text, kind = "good") {
  const list = document.getElementById("notices");
  for (const same of [...list.children]) if (same.firstChild.textContent === text) same.remove();
  const note = h("div", { class: `notice ${kind}` }, h("span", {}, text));
  note.append(button("Close", () => note.remove(), { class: "quiet" }));
  list.append(note);
  while (list.childElementCount > MOST) list.firstElementChild.remove();
  if (kind === "good") setTimeout(() => note.remove(), STAYS);
}

/** A box for a problem, for where something else was wanted. */
export function trouble(problem, again) {
  const text = problem?.message ?? String(problem);
  return h("div", { class: "trouble", role: "alert" }, h("p", {}, text), again ? button("Try again", again) : null);
}

/**
 * Asks. Each answer is `{ text, kind, act }`; `act` may refuse by a problem, which is then shown in the dialog by `explain`. The answer of a dialog that is
 * left is `false`.
 */
export function ask({ title, body, answers, explain = (problem) => problem.message, leave = "Cancel", broad = false }) {
  const id = freshId("ask");
  return new Promise((resolve) => {
    const told = h("div", { role: "alert" });
    let given = false;
    const dialog = h("dialog", { "aria-labelledby": id, class: broad ? "broad" : null, on: { close: () => {
      dialog.remove();
      resolve(given);
    } } });
    const answer = ({ act }) => async () => {
      try {
        const result = await act?.();
        given = result ?? act !== undefined;
        dialog.close();
      } catch (problem) {
        told.replaceChildren(explain(problem));
      }
    };
    const buttons = answers.map((one) => button(one.text, answer(one), { class: one.kind ?? null }));
    dialog.append(
      h("h2", { id }, title), h("div", {}, body), told,
      h("div", { class: "bar" }, buttons, button(leave, () => dialog.close(), { class: "quiet" })),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
