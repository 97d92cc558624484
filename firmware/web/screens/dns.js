// The DNS plan: the records that callers look for, to copy for whoever keeps the zone, and what live DNS says of each.

import { button, copyable, fill, h, place, say, table } from "../dom.js";
import { moment } from "../format.js";
import { trouble } from "../notices.js";

export const title = "DNS";
export const route = "dns-plan";
export const role = "viewer";

const BADGES = { "as-planned": ["good", "as planned"], missing: ["off", "missing"], differs: ["off", "differs"], "not-told": ["", "nobody says"] };

/** Shows the plan, and beside it what live DNS says once that was asked. */
export async function show(root, api, context) {
  const { records } = await api.get("/dns-plan");
  const zone = records.map((record) => record.zone.trimEnd()).join("\n");
  const list = h("div");
  const paint = (checked = []) => fill(list, table({ caption: "DNS records", columns: columns(checked), rows: records, empty: "The gateway has no domain yet." }));
  paint();
  fill(
    root,
    h("h1", { tabindex: -1 }, "DNS plan"),
    h("p", { class: "soft" }, "The records that callers look for, for each domain of the gateway. Domains and the public address are in the ", h("a", { href: place("settings", "gateway") }, "gateway settings"), "."),
    records.length > 0 && api.may("operator") ? checking(api, paint) : null,
    list,
    records.length > 0 ? h("section", { class: "card" }, h("h2", {}, "As lines of a zone file"), copyable("DNS records as lines of a zone file", zone)) : null,
  );
  api.hear("changed", () => context.again(), context.signal);
}

const columns = (checked) => [
  { title: "Record", cell: (record) => h("code", {}, record.zone), wide: true },
  { title: "Who looks for it", cell: (record) => record.who },
  { title: "Served", cell: (record) => (record.served ? h("span", { class: "badge good" }, "yes") : h("span", { class: "badge off" }, "not by this release")) },
  ...(checked.length > 0 ? [{ title: "Live DNS", cell: (record) => seen(checked.find((one) => one.name === record.name)), wide: true }] : []),
];

function seen(one) {
  if (!one) return h("span", { class: "soft" }, "not asked");
  const [kind, text] = BADGES[one.verdict];
  return h("span", {}, h("span", { class: `badge ${kind}` }, text), ` ${one.text}`);
}

function checking(api, paint) {
  const told = h("span", { role: "status", class: "soft" });
  const refused = h("div");
  const check = async () => {
    fill(refused);
    asks.disabled = true;
    say(told, "The name servers are asked\u2026");
    try {
      const { records, at } = await api.post("/dns-plan:check");
      paint(records);
      const good = records.filter((one) => one.verdict === "as-planned").length;
      say(told, `${good} of ${records.length} as planned, ${moment(at)}`);
    } catch (problem) {
      say(told, "");
      fill(refused, trouble(problem));
    } finally {
      asks.disabled = false;
    }
  };
  const asks = button("Check live DNS", check, { class: "main" });
  return h("div", {}, h("div", { class: "bar" }, asks, told), refused);
}
