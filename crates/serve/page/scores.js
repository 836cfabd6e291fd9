// Scores of retrieval: a number, its rank, and a bar to compare by.

import { h } from "./dom.js";

/** A score in a table; `share` in 0..1 draws a bar. */
export function scoreCell(scored, share = null) {
  if (!scored) return h("span", { class: "muted", title: "Not among the candidates of this stage" }, "–");
  return h(
    "span",
    { class: "score" },
    h("span", { class: "score-value" }, scored.score.toFixed(3)),
    h("span", { class: "score-rank" }, `#${scored.rank}`),
    share !== null && h("span", { class: "bar", "aria-hidden": "true", vars: { "--share": String(share) } }),
  );
}

/** Where each of `values` lies between the least and the greatest, in 0..1. */
export function shares(values) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...known), Math.max(...known)];
  return values.map((value) => (value === null ? null : high > low ? (value - low) / (high - low) : 0));
}
