// The audit log: who did what, the newest first.

import { button, fill, h, table } from "../dom.js";
import { moment } from "../format.js";
import { trouble } from "../notices.js";

export const title = "Audit";
export const route = "audit";
export const role = "administrator";

/** Lines of one page. */
const PAGE = 100;

const columns = [
  { title: "When", cell: (line) => moment(line.at) },
  { title: "Who", cell: (line) => line.by },
  { title: "What", cell: (line) => line.act },
  { title: "Outcome", cell: (line) => line.outcome },
  { title: "Detail", cell: (line) => h("span", { class: "parts" }, line.detail.map((one) => h("span", {}, one))), wide: true },
];

/** Shows it. */
export async function show(root, api) {
  const list = h("div");
  const lines = [];
  const more = async () => {
    const before = lines.at(-1)?.seq;
    const page = await api.get(`/audit?limit=${PAGE}${before === undefined ? "" : `&before=${before}`}`);
    lines.push(...page.items);
    const older = page.next ? button("Older lines", () => more().catch((problem) => list.append(trouble(problem)))) : null;
    fill(list, table({ caption: "The audit log, the newest first", columns, rows: lines }), older);
  };
  await more();
  fill(root, h("h1", { tabindex: -1 }, "Audit log"), h("p", { class: "soft" }, "Each line holds the sum of the line before it; a log that was edited is told on the system screen."), list);
}
