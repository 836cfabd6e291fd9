// The page with the models: what is loaded, what lies on the disk, and what can
// be fetched.

import { get, json } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, plural } from "./format.js";
import { icon } from "./icons.js";
import { emptyState, failureBox, loading, toastFailure } from "./notice.js";
import { may } from "./state.js";
import { isRunning, jobCard } from "./jobs.js";

const KINDS = [
  ["generator", "Generators", "word the answers"],
  ["embedder", "Embedders", "turn passages and questions into vectors"],
  ["reranker", "Rerankers", "read question and passage together"],
];
const STATES = {
  loaded: ["Loaded", "good"],
  on_disk: ["On disk", "still"],
  available: ["Not here yet", "none"],
};

export function modelsPage(place) {
  const abort = new AbortController();
  const facts = h("p", { class: "page-facts" });
  const jobs = h("div", { class: "jobs", role: "region", "aria-label": "Downloads" });
  const lists = h("div", {}, loading("Reading the list"));
  replace(place, h("header", { class: "page-head" }, h("h1", {}, "Models"), facts), jobs, lists);

  async function read() {
    try {
      const { models, process_memory_bytes: memory } = await get("/api/v1/models", {}, abort.signal);
      const loaded = models.filter((model) => model.loaded);
      replace(
        facts,
        `${plural(loaded.length, "model")} loaded`,
        memory && ` · ${bytes(memory)} of memory in this process`,
      );
      draw(models);
    } catch (error) {
      if (!abort.signal.aborted) replace(lists, failureBox(error, read));
    }
  }

  function draw(models) {
    const sections = KINDS.map(([kind, title, text]) => {
      const own = models.filter((model) => model.kind === kind);
      return (
        own.length > 0 &&
        h(
          "section",
          { class: "models" },
          h("h2", {}, title, h("span", { class: "muted" }, ` ${text}`)),
          h(
            "ul",
            { class: "model-list" },
            own.map((model) => card(model)),
          ),
        )
      );
    });
    replace(
      lists,
      sections.some(Boolean)
        ? sections
        : emptyState(
            "models",
            "No models",
            h("p", {}, "Fetch the two default ones with ", h("code", {}, "plumb model pull"), "."),
          ),
    );
  }

  function card(model) {
    const [text, tone] = STATES[model.state] ?? [model.state, "none"];
    const rows = [
      ["Disk", model.disk_bytes && bytes(model.disk_bytes)],
      ["Weights in memory", model.memory_bytes && bytes(model.memory_bytes)],
      ["Licence", model.licence],
      ["SHA-256", model.sha256 && h("code", { title: model.sha256 }, model.sha256.slice(0, 12))],
    ].filter(([, value]) => value);
    const canPull = model.can_pull && may("admin");
    return h(
      "li",
      { class: "model" },
      h(
        "div",
        { class: "model-head" },
        h("h3", {}, model.name),
        model.is_default && h("span", { class: "badge badge-none" }, "Default"),
        h("span", { class: `badge badge-${tone}` }, text),
      ),
      model.summary && h("p", { class: "muted" }, model.summary),
      h(
        "dl",
        { class: "facts facts-row" },
        rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
      canPull &&
        h(
          "button",
          {
            class: "button",
            type: "button",
            on: { click: (event) => pull(model.name, event.currentTarget) },
          },
          icon("download"),
          "Fetch",
        ),
    );
  }

  async function pull(model, button) {
    button.disabled = true;
    try {
      const { job } = await json("POST", "/api/v1/models/pull", { body: { model } });
      watch(job);
    } catch (error) {
      button.disabled = false;
      toastFailure(error);
    }
  }

  function watch(job) {
    jobs.prepend(jobCard(job, { onEnd: read, signal: abort.signal }));
  }

  async function readJobs() {
    try {
      const all = (await get("/api/v1/jobs", { limit: 20 }, abort.signal)).jobs;
      for (const job of all.filter((one) => one.kind === "pull" && isRunning(one))) watch(job);
    } catch {
      // Without the list new downloads are followed all the same.
    }
  }

  read();
  readJobs();
  return () => abort.abort();
}
