// Licences: what the box may do and what is used of it, each licence with what it is worth, and the place to drop a new one.

import { button, facts, fill, freshId, h, table } from "../dom.js";
import { dropped } from "../drop.js";
import { count, words } from "../format.js";
import { ask, notice, trouble } from "../notices.js";
import { problemList } from "../resource.js";

export const title = "Licences";
export const route = "licences";
export const role = "viewer";

/** Largest licence that is taken, in bytes. */
const FILE_BYTES = 16384;
/** So often what is used is asked for, in milliseconds. */
const EVERY = 5000;

/** Shows what there is and what is used of it, for as long as the screen is open. */
export async function show(root, api, context) {
  const standing = h("div");
  const list = h("div");
  const paint = (found) => {
    fill(standing, overview(found));
    fill(list, table({ caption: "Licences", columns: columns(api, again), rows: found.items, empty: "There is no licence." }));
  };
  const again = async () => paint(await api.get("/licences"));
  await again();
  fill(
    root,
    h("h1", { tabindex: -1 }, title),
    h("p", { class: "soft" }, "Each call takes two call licences, and gives them back when it ends. A licence that ends, or is removed, ends no call."),
    standing,
    list,
    api.may("administrator") ? uploading(api, paint) : null,
  );
  const look = setInterval(() => {
    // Nothing that somebody is about to press moves.
    if (!list.contains(document.activeElement)) again().catch(() => {});
  }, EVERY);
  context.signal.addEventListener("abort", () => clearInterval(look));
}

function overview(found) {
  const { metering, text, vendors, serial, calls, access_tokens: tokens, calls_refused: refused, changes_at: changes } = found;
  const missing = [
    calls.missing > 0 ? `${count(calls.missing, "call licence")} more than there are: new calls are refused until calls end or a licence is added.` : null,
    tokens.missing > 0 ? `${count(tokens.missing, "access token")} more than are licensed: none can be added.` : null,
  ];
  const metered = metering === "metered";
  return h(
    "section",
    { class: "card", "aria-label": "What is used" },
    h("p", {}, h("span", { class: metered ? "badge good" : "badge" }, metering), ` ${text}.`),
    facts([
      ["Call licences", used(calls)],
      ["Access tokens", used(tokens)],
      ["Calls refused for want of licences", refused > 0 ? String(refused) : ""],
      ["Licences are taken of", vendors.join(", ")],
      ["Serial number of this box", serial ?? (metered ? "not known" : "")],
      ["Something begins or ends", changes ? day(changes) : ""],
    ]),
    missing.map((line) => (line ? h("p", { class: "trouble" }, line) : null)),
  );
}

/** Licences go by days in UTC, whatever the reader's clock says. */
const day = (text) => text.slice(0, 10);

function used({ licensed, used: taken, free }) {
  return licensed === null ? `${taken} used` : `${taken} of ${licensed} used, ${free} free`;
}

const BADGES = { counts: "good", "ends-soon": "off", later: "", over: "off", unusable: "off" };

const columns = (api, again) => [
  { title: "Licence", cell: (one) => one.id },
  { title: "Holder", cell: (one) => one.holder ?? "" },
  { title: "Calls", cell: (one) => one.calls ?? "", number: true },
  { title: "Access tokens", cell: (one) => one.access_tokens ?? "", number: true },
  { title: "From", cell: (one) => (one.not_before ? day(one.not_before) : "") },
  { title: "Until", cell: (one) => (one.not_after ? day(one.not_after) : "") },
  { title: "Bound to", cell: (one) => one.serial ?? "" },
  { title: "Worth", cell: (one) => h("span", {}, h("span", { class: `badge ${BADGES[one.worth]}` }, words(one.worth)), one.why ? ` ${one.why}` : null), wide: true },
  { title: "Came by", cell: (one) => (one.came_by === "upload" && api.may("administrator") ? button("Remove", () => remove(api, one, again), { class: "danger small", "aria-label": `Remove licence ${one.id}` }) : words(one.came_by)) },
];

async function remove(api, licence, again) {
  const gone = await ask({
    title: `Remove licence ${licence.id}?`,
    body: h("p", {}, "Calls that stand go on. Keep its file if it may be needed again."),
    answers: [{ text: "Remove", kind: "danger", act: async () => {
      await api.write("DELETE", `/licences/${encodeURIComponent(licence.id)}`);
    } }],
    explain: problemList,
  });
  if (gone) {
    notice(`Licence ${licence.id} is removed.`);
    await again();
  }
}

/** A licence file: pasted, dropped or chosen. */
function uploading(api, paint) {
  const early = freshId("early");
  const licence = dropped({ label: "Licence (paste it, or drop the file here)", placeholder: "-----BEGIN GANTRY LICENCE-----", most: FILE_BYTES, what: "any licence" });
  const keep = h("input", { type: "checkbox", id: early });
  const refused = h("div");
  const upload = async () => {
    fill(refused);
    try {
      paint((await api.write("POST", "/licences", { file: licence.read(), early: keep.checked ? "keep" : "refuse" })).body);
      licence.clear();
      keep.checked = false;
      notice("The licence is taken.");
    } catch (problem) {
      fill(refused, trouble(problem));
    }
  };
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Add a licence"),
    licence.node,
    h("div", { class: "check" }, keep, h("label", { for: early }, "Keep it if its first day is yet to come")),
    refused,
    h("div", { class: "bar" }, button("Add this licence", upload, { class: "main" })),
  );
}
