// Who is not heard for a while: scanners, and whoever guesses aliases and passwords.

import { button, fill, h, place, table } from "../dom.js";
import { duration } from "../format.js";
import { notice, trouble } from "../notices.js";

export const title = "Blocked";
export const route = "blocked-sources";
export const role = "viewer";

/** Shows them. */
export async function show(root, api, { signal }) {
  const list = h("div");
  const told = h("div");
  const forgive = async (address) => {
    try {
      await api.write("DELETE", `/blocked-sources/${encodeURIComponent(address)}`);
      fill(told);
      notice(`${address} is heard again.`);
    } catch (problem) {
      fill(told, trouble(problem));
    }
  };
  let before = null;
  const paint = ({ blocked }) => {
    const said = JSON.stringify(blocked.map(({ source }) => source));
    if (said === before && list.contains(document.activeElement)) return;
    before = said;
    fill(list, table({ caption: "Blocked sources", columns: columns(api, forgive), rows: blocked, empty: "Nobody is blocked." }));
  };
  paint(await api.get("/live"));
  root.append(
    h("h1", { tabindex: -1 }, title),
    h("p", { class: "soft" }, "Sources that are not heard for a while, because they dialled or logged in wrongly too often, or behaved as a scanner. How soon is for the ", h("a", { href: place("settings", "defence") }, "defence settings"), "."),
    told,
    h("section", { class: "card" }, list),
  );
  if (api.may("operator")) root.append(byHand(forgive));
  api.hear("live", paint, signal);
}

const columns = (api, forgive) => [
  { title: "Source", cell: (one) => one.source },
  { title: "Why", cell: (one) => one.why, wide: true },
  { title: "Heard again in", cell: (one) => duration(one.seconds), number: true },
  { title: "Dropped", cell: (one) => one.dropped, number: true },
  { title: "", cell: (one) => (api.may("operator") ? button("Hear again", () => forgive(one.source.split(" ")[0]), { class: "small", "aria-label": `Hear ${one.source} again` }) : "") },
];

/** For whoever may not log in: that is not among what is blocked for calls. */
function byHand(forgive) {
  const address = h("input", { id: "forgiven", type: "text", required: true, autocomplete: "off", "aria-describedby": "forgiven-hint" });
  const submit = (event) => {
    event.preventDefault();
    forgive(address.value.trim());
  };
  return h("form", { class: "card form", on: { submit } }, h("h2", {}, "Hear an address again"), h("div", { class: "field" }, h("label", { for: "forgiven" }, "IP address"), address, h("p", { class: "hint", id: "forgiven-hint" }, "Also whoever may not log in here for a while.")), h("div", { class: "bar" }, h("button", { type: "submit" }, "Hear again")));
}
