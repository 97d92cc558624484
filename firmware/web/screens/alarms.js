// Alarms: what is wrong with the box, who has seen it, and what is over.

import { button, fill, h, table } from "../dom.js";
import { moment } from "../format.js";
import { notice, trouble } from "../notices.js";

export const title = "Alarms";
export const route = "alarms";
export const role = "viewer";

/** So often they are asked for, in milliseconds. */
const EVERY = 5000;

/** Shows those that stand and those that are over, for as long as the screen is open. */
export async function show(root, api, context) {
  const standing = h("div", { role: "status" });
  const past = h("div");
  const told = h("div");
  const paint = async () => {
    const [now, history, receivers] = await Promise.all(["/alarms", "/alarm-history", "/alarm-deliveries"].map((path) => api.get(path)));
    fill(standing, table({ caption: "Alarms that stand", columns: [...columns, seen(api, paint)], rows: now.items, empty: "Nothing is wrong." }));
    fill(past, table({ caption: "Alarms that are over", columns: [...columns, { title: "Over", cell: (alarm) => moment(alarm.time_lowered) }], rows: history.items, empty: "Nothing was wrong yet." }));
    fill(told, table({ caption: "Receivers", columns: deliveries, rows: receivers.items, empty: "Nobody is told; add an alarm receiver." }));
  };
  fill(root, h("h1", { tabindex: -1 }, title), standing, h("h2", {}, "Told to"), told, h("h2", {}, "Over"), past);
  await paint();
  const again = setInterval(() => paint().catch((problem) => fill(standing, trouble(problem, paint))), EVERY);
  context.signal.addEventListener("abort", () => clearInterval(again));
}

const columns = [
  { title: "Level", cell: (alarm) => h("span", { class: `level ${alarm.level}` }, alarm.level) },
  { title: "Alarm", cell: (alarm) => alarm.name },
  { title: "Of", cell: (alarm) => alarm.instance },
  { title: "Details", cell: (alarm) => alarm.details, wide: true },
  { title: "Raised", cell: (alarm) => moment(alarm.time_raised) },
];

const deliveries = [
  { title: "Receiver", cell: (one) => one.name },
  { title: "Waiting", cell: (one) => one.waiting, number: true },
  { title: "Lost", cell: (one) => one.dropped, number: true },
];

const seen = (api, again) => ({
  title: "Seen",
  cell: (alarm) => {
    if (alarm.acknowledged_by) return `${alarm.acknowledged_by}, ${moment(alarm.time_acknowledged)}`;
    if (!api.may("operator")) return "";
    return button("Acknowledge", async () => {
      try {
        await api.post(`/alarms/${alarm.id}/acknowledgement`);
      } catch (problem) {
        notice(problem.message, "bad");
      }
      await again();
    }, { class: "small", "aria-label": `Acknowledge ${alarm.name} of ${alarm.instance}` });
  },
});
