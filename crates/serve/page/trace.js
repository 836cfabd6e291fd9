// How an answer came about: what was searched for and found, how strong the
// evidence was, who took part, and how long it took.

import { h } from "./dom.js";
import { bytes, seconds } from "./format.js";
import { percent } from "./support.js";
import { scoreCell } from "./scores.js";

/** A part that opens. `open(index, from)` shows a passage. */
export function trace({ answer, passages, open }) {
  const { support, guarantee, models, snapshot, answer_id: id, standalone_question: standalone } = answer;
  const rows = [
    ["Searched for", standalone ?? answer.question],
    ["Evidence", `${percent(support.score)} (an answer needs ${percent(support.threshold)})`],
    guarantee && [
      "Error bound",
      `At most ${percent(guarantee.max_error)} of answers are wrong, with a confidence of ${percent(guarantee.confidence)}, by ${guarantee.questions} questions of ${guarantee.calibration}`,
    ],
    [
      "Models",
      Object.entries(models)
        .map(([part, { name }]) => `${name} (${part})`)
        .join(", "),
    ],
    ["Time", times(answer.timings_ms)],
    ["Snapshot", h("code", { title: snapshot }, snapshot.slice(0, 12))],
    ["Answer again", h("code", {}, `plumb answer replay ${id}`)],
  ];
  return h(
    "details",
    { class: "trace" },
    h("summary", {}, "How this was answered"),
    h(
      "dl",
      { class: "facts" },
      rows.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    passages.length > 0 && passageTable(passages, open),
  );
}

function times(timings) {
  const parts = Object.entries(timings).filter(([name]) => name !== "total");
  const total = timings.total ?? parts.reduce((sum, [, ms]) => sum + ms, 0);
  return `${seconds(total / 1000)}: ${parts.map(([name, ms]) => `${name} ${seconds(ms / 1000)}`).join(", ")}`;
}

function passageTable(passages, open) {
  const row = (hit, index) =>
    h(
      "tr",
      {},
      h("td", { class: "number" }, hit.rank),
      h(
        "td",
        {},
        h(
          "button",
          {
            class: "link-button",
            type: "button",
            on: { click: (event) => open(index, event.currentTarget) },
          },
          hit.title || hit.name,
        ),
        h(
          "span",
          { class: "muted small block" },
          [...(hit.heading_path ?? [])].join(" › ") || bytes(hit.byte_range[1] - hit.byte_range[0]),
        ),
      ),
      h("td", {}, scoreCell(hit.fused)),
      h("td", {}, scoreCell(hit.dense)),
      h("td", {}, scoreCell(hit.lexical)),
    );
  const heads = ["#", "Passage", "Fused", "Meaning", "Words"];
  return h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Passages that were found" },
    h(
      "table",
      { class: "table" },
      h("caption", { class: "sr-only" }, "Passages that were found, with their scores"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h("tbody", {}, passages.map(row)),
    ),
  );
}
