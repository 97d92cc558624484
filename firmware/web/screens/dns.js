// The DNS plan: the records that callers look for, to copy for whoever keeps the zone.

import { copyable, fill, h, place, table } from "../dom.js";

export const title = "DNS";
export const route = "dns-plan";
export const role = "viewer";

/** Shows the plan. */
export async function show(root, api, context) {
  const { records } = await api.get("/dns-plan");
  const zone = records.map((record) => record.zone.trimEnd()).join("\n");
  const columns = [
    { title: "Record", cell: (record) => h("code", {}, record.zone), wide: true },
    { title: "Who looks for it", cell: (record) => record.who },
    { title: "Served", cell: (record) => (record.served ? h("span", { class: "badge good" }, "yes") : h("span", { class: "badge off" }, "not by this release")) },
  ];
  fill(
    root,
    h("h1", { tabindex: -1 }, "DNS plan"),
    h("p", { class: "soft" }, "The records that callers look for, for each domain of the gateway. Domains and the public address are in the ", h("a", { href: place("settings", "gateway") }, "gateway settings"), "."),
    table({ caption: "DNS records", columns, rows: records, empty: "The gateway has no domain yet." }),
    records.length > 0 ? h("section", { class: "card" }, h("h2", {}, "As lines of a zone file"), copyable("DNS records as lines of a zone file", zone)) : null,
  );
  api.hear("changed", () => context.again(), context.signal);
}
