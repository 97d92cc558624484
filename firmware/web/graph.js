// Small graphs of the last minute: a line over a filled ground, drawn by DOM calls.

import { h, say, svg } from "./dom.js";
import { LOOKS } from "./streams.js";

const WIDTH = 120;
const HEIGHT = 24;

/**
 * A graph with its figure beside it. The graph is for the eye alone; whoever does not see it has the figure. `least` is the least value its height
 * stands for, so that noise about nothing looks like nothing.
 */
export function graph(name, least) {
  const ground = svg("path", { class: "ground" });
  const line = svg("path", { class: "line" });
  const drawing = svg(
    "svg",
    { class: `graph ${name}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
    ground,
    line,
  );
  const figure = h("span", { class: "figure" });
  const node = h("span", { class: "measure" }, figure, drawing);
  const update = (values, text) => {
    say(figure, text);
    if (values.length < 2) return;
    const points = path(values, least);
    line.setAttribute("d", `M${points.join("L")}`);
    ground.setAttribute("d", `M${left(values)},${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z`);
  };
  return { node, update };
}

function left(values) {
  return (((LOOKS - values.length) * WIDTH) / (LOOKS - 1)).toFixed(1);
}

function path(values, least) {
  const most = Math.max(least, ...values);
  const step = WIDTH / (LOOKS - 1);
  const first = LOOKS - values.length;
  return values.map((value, index) => {
    const height = HEIGHT - 1 - (value / most) * (HEIGHT - 2);
    return `${((first + index) * step).toFixed(1)},${height.toFixed(1)}`;
  });
}
