// The firewall plan: every flow in and out of the box, to copy for whoever keeps the firewall.

import { copyable, fill, h, table } from "../dom.js";

export const title = "Firewall";
export const route = "firewall-plan";
export const role = "viewer";

const columns = [
  { title: "Way", cell: (flow) => flow.way },
  { title: "With", cell: (flow) => flow.with },
  { title: "By", cell: (flow) => flow.by.toUpperCase() },
  { title: "From ports", cell: (flow) => flow.from_ports ?? "any" },
  { title: "To ports", cell: (flow) => flow.to_ports },
  { title: "What for", cell: (flow) => flow.why, wide: true },
];

/** Shows the plan. */
export async function show(root, api, context) {
  const { flows, table: text, nftables } = await api.get("/firewall-plan");
  fill(
    root,
    h("h1", { tabindex: -1 }, "Firewall plan"),
    h("p", { class: "soft" }, "What this configuration needs between the box, its callers and its conferences. \u201cin\u201d and \u201cout\u201d are seen from the box."),
    table({ caption: "Flows", columns, rows: flows }),
    h("section", { class: "card" }, h("h2", {}, "As a table to copy"), copyable("Firewall plan as a table", text)),
    h("section", { class: "card" }, h("h2", {}, "The box\u2019s own filter (nftables)"), copyable("Rules of the box's own filter", nftables)),
  );
  api.hear("changed", () => context.again(), context.signal);
}
