// The page that searches passages and shows what each stage made of them.

import { json } from "./api.js";
import { h, replace } from "./dom.js";
import { plural, seconds } from "./format.js";
import { emptyState, failureBox, loading, say } from "./notice.js";
import { state } from "./state.js";
import { note } from "./router.js";
import { scoreCell, shares } from "./scores.js";
import { openSource } from "./source.js";
import { snippet } from "./quote.js";

const STAGES = [
  ["dense", "Meaning", "Cosine of the embeddings of query and passage"],
  ["lexical", "Words", "BM25 of the words that they share"],
  ["fused", "Fused", "Weighted sum of both, each scaled to 0..1"],
  ["reranked", "Reranked", "Score of a model that reads query and passage together"],
];

export function searchPage(place, { query }) {
  const page = new SearchPage(place, query);
  return () => page.abort.abort();
}

class SearchPage {
  constructor(place, query) {
    this.abort = new AbortController();
    this.field = h("input", {
      class: "input",
      id: "query",
      type: "search",
      required: true,
      value: query.get("q") ?? "",
      placeholder: "What to look for",
      "data-main-field": true,
    });
    this.where = h("input", {
      class: "input",
      id: "where",
      value: query.get("where") ?? "",
      placeholder: 'path ~ "guide/" and date >= 2024-01-01',
      spellcheck: "false",
    });
    this.top = h("input", { class: "input", id: "top-k", type: "number", min: "1", max: "100", value: "10" });
    this.weight = h("input", {
      id: "weight",
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      value: "0.5",
      disabled: true,
    });
    this.ownWeight = h("input", { id: "own-weight", type: "checkbox" });
    this.ownWeight.addEventListener("change", () => (this.weight.disabled = !this.ownWeight.checked));
    this.rerank = h("input", { id: "rerank", type: "checkbox", checked: true });
    this.results = h("div", { class: "results" });
    const form = h(
      "form",
      { class: "search-form", role: "search" },
      h(
        "div",
        { class: "row" },
        h("label", { class: "sr-only", for: "query" }, "Query"),
        this.field,
        h("button", { class: "button button-main", type: "submit" }, "Search"),
      ),
      h(
        "details",
        { class: "options", open: query.has("where") },
        h("summary", {}, "Options"),
        h(
          "div",
          { class: "options-body" },
          h("div", {}, h("label", { for: "where" }, "Only documents where"), this.where),
          h("div", {}, h("label", { for: "top-k" }, "Passages"), this.top),
          h(
            "div",
            {},
            h(
              "p",
              { class: "check" },
              this.ownWeight,
              h("label", { for: "own-weight" }, "Own weight of meaning against words"),
            ),
            h("label", { class: "sr-only", for: "weight" }, "Weight of meaning"),
            this.weight,
          ),
          state.collection?.reranker &&
            h(
              "p",
              { class: "check" },
              this.rerank,
              h("label", { for: "rerank" }, `Rerank with ${state.collection.reranker}`),
            ),
        ),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    replace(
      place,
      h(
        "header",
        { class: "page-head" },
        h("h1", {}, "Search"),
        h(
          "p",
          { class: "page-facts" },
          "What each stage of retrieval makes of the passages of ",
          state.collection?.name ?? "a collection",
        ),
      ),
      form,
      this.results,
    );
    if (this.field.value) this.run();
    else {
      replace(
        this.results,
        emptyState(
          "search",
          "Look inside the documents",
          h(
            "p",
            {},
            "Search shows the passages that an answer would be made from, with the score and the rank that each stage gave them.",
          ),
        ),
      );
      this.field.focus();
    }
  }

  async run() {
    const query = this.field.value.trim();
    if (query === "" || !state.collection) return;
    note("search", [], { q: query, ...(this.where.value.trim() ? { where: this.where.value.trim() } : {}) });
    replace(this.results, loading("Searching"));
    const body = {
      collection: state.collection.name,
      query,
      top_k: Number(this.top.value) || 10,
      where: this.where.value.trim() || undefined,
      dense_weight: this.ownWeight.checked ? Number(this.weight.value) : undefined,
      rerank: this.rerank.checked,
    };
    try {
      this.draw(await json("POST", "/api/v1/search", { body, signal: this.abort.signal }));
    } catch (error) {
      if (!this.abort.signal.aborted)
        replace(
          this.results,
          failureBox(error, () => this.run()),
        );
    }
  }

  draw({ hits, timings_ms: timings, snapshot, collection }) {
    const took = Object.values(timings).reduce((sum, ms) => sum + ms, 0) / 1000;
    say(`${plural(hits.length, "passage")} found.`);
    if (hits.length === 0) {
      replace(
        this.results,
        emptyState("search", "Nothing was found", h("p", {}, "Use other words, or take back the filter.")),
      );
      return;
    }
    const stages = STAGES.filter(([name]) => hits.some((hit) => hit[name]));
    const bars = new Map(stages.map(([name]) => [name, shares(hits.map((hit) => hit[name]?.score ?? null))]));
    const open = (index, from) => {
      const places = hits.map((hit) => ({ ...hit, number: hit.rank, quote: hit.text, score: null }));
      openSource({ collection, snapshot, places, index, from });
    };
    replace(
      this.results,
      h(
        "p",
        { class: "muted" },
        `${plural(hits.length, "passage")} in ${seconds(took)} · snapshot ${snapshot.slice(0, 12)}`,
      ),
      h(
        "div",
        { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Passages" },
        h(
          "table",
          { class: "table hits" },
          h("caption", { class: "sr-only" }, "Passages with the scores of each stage"),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, "#"),
              h("th", { scope: "col" }, "Passage"),
              stages.map(([, title, text]) => h("th", { scope: "col", title: text }, title)),
            ),
          ),
          h(
            "tbody",
            {},
            hits.map((hit, index) => row(hit, index, { stages, bars, open })),
          ),
        ),
      ),
    );
  }
}

function row(hit, index, { stages, bars, open }) {
  const where = [(hit.heading_path ?? []).join(" › "), hit.page && `page ${hit.page}`]
    .filter(Boolean)
    .join(" · ");
  const others = (hit.also_in ?? []).length;
  return h(
    "tr",
    { data: { number: hit.rank } },
    h("td", { class: "number" }, hit.rank),
    h(
      "td",
      { class: "hit" },
      h(
        "button",
        { class: "link-button", type: "button", on: { click: (event) => open(index, event.currentTarget) } },
        hit.title || hit.name,
      ),
      where && h("span", { class: "muted small block" }, where),
      h("p", { class: "snippet" }, snippet(hit.text)),
      others > 0 &&
        h("span", { class: "muted small" }, `The same text is in ${plural(others, "other document")}.`),
    ),
    stages.map(([name, title]) =>
      h("td", { "data-label": title }, scoreCell(hit[name], bars.get(name)[index])),
    ),
  );
}
