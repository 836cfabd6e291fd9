// A chart of lines over time, drawn as SVG.

import { h, replace, s } from "./dom.js";
import { short } from "./format.js";

const [WIDTH, HEIGHT] = [440, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 8, 8, 20];

/** A chart: `lines` are `[name, …]` and `format` writes a value. */
export class LineChart {
  constructor({ title, unit = "", format, lines }) {
    this.lines = lines;
    this.write = (value) => (Number.isFinite(value) ? `${format(value)}${unit}` : "–");
    this.svg = s("svg", {
      class: "chart-lines",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      tabindex: "0",
    });
    this.legend = h("ul", { class: "legend" });
    this.title = title;
    this.element = h("figure", { class: "chart" }, h("figcaption", {}, title), this.svg, this.legend);
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    for (const event of ["pointerleave", "blur"]) {
      this.svg.addEventListener(event, () => {
        this.chosen = null;
        this.#redraw();
      });
    }
    this.svg.addEventListener("keydown", (event) => this.#walk(event));
    this.chosen = null;
  }

  /** Draws `values[line][i]` at `times[i]`; the axis spans `span` milliseconds up to the last. */
  draw(times, values, span) {
    Object.assign(this, { times, values, span });
    this.#redraw();
  }

  #redraw() {
    if (!this.times?.length) return;
    const top = niceTop(Math.max(0, ...this.values.flat().filter(Number.isFinite)));
    const end = this.times.at(-1);
    this.x = (time) => LEFT + (WIDTH - LEFT - RIGHT) * (1 - (end - time) / this.span);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    const at = this.chosen ?? this.times.length - 1;
    replace(
      this.svg,
      [0, 0.5, 1].map((part) => this.#gridLine(y(top * part), top * part)),
      [1, 0.75, 0.5, 0.25, 0].map((part) => this.#timeLabel(part)),
      this.values.map((line, index) =>
        s("path", { class: `line line-${index}`, d: path(this.times, line, this.x, y) }),
      ),
      this.chosen !== null &&
        s("line", {
          class: "cursor",
          x1: this.x(this.times[at]),
          x2: this.x(this.times[at]),
          y1: TOP,
          y2: HEIGHT - BOTTOM,
        }),
      this.values.map(
        (line, index) =>
          Number.isFinite(line[at]) &&
          s("circle", { class: `dot dot-${index}`, cx: this.x(this.times[at]), cy: y(line[at]), r: 3 }),
      ),
    );
    const words = this.lines.map(([name], index) => [name, this.write(this.values[index][at])]);
    this.svg.setAttribute("aria-label", `${this.title}: ${words.map((pair) => pair.join(" ")).join(", ")}`);
    replace(
      this.legend,
      words.map(([name, value], index) =>
        h(
          "li",
          {},
          h("span", { class: `swatch swatch-${index}`, "aria-hidden": "true" }),
          name,
          h("strong", {}, value),
        ),
      ),
    );
  }

  #gridLine(y, value) {
    return s(
      "g",
      {},
      s("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }),
      s("text", { class: "axis", x: LEFT - 6, y: y + 3.5, "text-anchor": "end" }, this.write(value)),
    );
  }

  /** What is `part` of the span ago. */
  #timeLabel(part) {
    const anchor = part === 0 ? "end" : part === 1 ? "start" : "middle";
    const ago = (this.span * part) / 1000;
    const x = this.x(this.times.at(-1) - ago * 1000);
    const text = ago === 0 ? "now" : ago > 90 ? `−${short(ago / 60)} min` : `−${Math.round(ago)} s`;
    return s("text", { class: "axis", x, y: HEIGHT - 5, "text-anchor": anchor }, text);
  }

  /** The arrow keys read the values of earlier. */
  #walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.times?.length) return;
    event.preventDefault();
    const last = this.times.length - 1;
    this.chosen = Math.max(0, Math.min(last, (this.chosen ?? last) + step));
    this.#redraw();
  }

  #point(event) {
    if (!this.times?.length) return;
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const distances = this.times.map((time) => Math.abs(this.x(time) - x));
    this.chosen = distances.indexOf(Math.min(...distances));
    this.#redraw();
  }
}

/** A line through the values that are known, broken where one is not. */
export function path(times, values, x, y) {
  let isDown = false;
  const steps = values.map((value, index) => {
    if (!Number.isFinite(value)) {
      isDown = false;
      return "";
    }
    const step = `${isDown ? "L" : "M"}${x(times[index]).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = true;
    return step;
  });
  return steps.join("");
}

/** The least of 1, 2, 5 times a power of ten that is not below `value`. */
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = Number(`1e${Math.floor(Math.log10(value))}`);
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * (1 - 1e-9));
}
