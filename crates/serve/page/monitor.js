// The page that draws what `/metrics` says, every two seconds.

import { send } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, count, seconds, short } from "./format.js";
import { failureBox } from "./notice.js";
import { bucketsBetween, growth, parseMetrics, quantile, total } from "./exposition.js";
import { LineChart } from "./chart.js";

const EVERY_MS = 2000;
/** What is drawn: five minutes. */
const KEPT = 150;
/** Quantiles are of the last half minute, so that one request does not make a spike of a moment. */
const WINDOW = 15;

const isAsked = ({ endpoint }) => !/^\/(metrics|assets|ready|healthz)|^unmatched$|^\/$/.test(endpoint);
const isFailed = ({ endpoint, status }) => isAsked({ endpoint }) && Number(status) >= 400;

/** Samples of earlier, kept while other pages are looked at. */
let samples = [];

const CHARTS = [
  {
    title: "Requests",
    unit: "/s",
    format: short,
    lines: [
      ["Served", rate("plumb_requests_total", (labels) => isAsked(labels) && Number(labels.status) < 400)],
      ["Failed", rate("plumb_requests_total", isFailed)],
    ],
  },
  { title: "Time of requests", format: seconds, lines: quantiles("plumb_request_duration_seconds", isAsked) },
  {
    title: "Time to the first token",
    format: seconds,
    lines: quantiles("plumb_time_to_first_token_seconds"),
  },
  { title: "Retrieval", format: seconds, lines: quantiles("plumb_retrieval_seconds") },
  {
    title: "Tokens",
    unit: "/s",
    format: short,
    lines: [
      ["Read", rate("plumb_prompt_tokens_total")],
      ["Written", rate("plumb_generated_tokens_total")],
      ["Read before", rate("plumb_cached_prompt_tokens_total")],
    ],
  },
  {
    title: "Queue",
    format: short,
    lines: [
      ["Running", gauge("plumb_running")],
      ["Waiting for a model", gauge("plumb_waiting")],
      ["Waiting for a thread", gauge("plumb_work_waiting")],
    ],
  },
  { title: "Cache", unit: " tokens", format: short, lines: [["Tokens kept", gauge("plumb_cached_tokens")]] },
  { title: "Memory", format: bytes, lines: [["Resident", gauge("process_resident_memory_bytes")]] },
];

function rate(name, where) {
  return (at) => {
    const before = samples[at - 1];
    if (!before) return NaN;
    return (
      growth(before.metrics, samples[at].metrics, name, where) / ((samples[at].time - before.time) / 1000)
    );
  };
}

function gauge(name) {
  return (at) => (samples[at].metrics.has(name) ? total(samples[at].metrics, name) : NaN);
}

function quantiles(name, where) {
  return [
    ["Half under", 0.5],
    ["95 % under", 0.95],
    ["99 % under", 0.99],
  ].map(([title, q]) => [
    title,
    (at) => {
      const before = samples[Math.max(0, at - WINDOW)];
      return quantile(q, bucketsBetween(before.metrics, samples[at].metrics, name, where));
    },
  ]);
}

export function monitorPage(place) {
  const abort = new AbortController();
  const tiles = h("ul", { class: "tiles", "aria-label": "Since the server started" });
  const problem = h("div", {});
  const charts = CHARTS.map((chart) => new LineChart(chart));
  replace(
    place,
    h(
      "header",
      { class: "page-head" },
      h("h1", {}, "Monitor"),
      h(
        "p",
        { class: "page-facts" },
        "Read from ",
        h("code", {}, "/metrics"),
        " every two seconds, for the last five minutes",
      ),
    ),
    problem,
    tiles,
    h(
      "div",
      { class: "charts" },
      charts.map(({ element }) => element),
    ),
  );

  async function tick() {
    try {
      const response = await send("GET", "/metrics", {
        signal: abort.signal,
        headers: { accept: "text/plain" },
      });
      samples.push({ time: Date.now(), metrics: parseMetrics(await response.text()) });
      samples = samples.slice(-KEPT);
      replace(problem);
      draw();
    } catch (error) {
      if (!abort.signal.aborted) replace(problem, failureBox(error));
    }
    if (!abort.signal.aborted) timer = setTimeout(tick, EVERY_MS);
  }

  function draw() {
    drawTiles(tiles, samples.at(-1).metrics);
    const times = samples.map(({ time }) => time);
    // A minute at first, and then as much as there is.
    const span = Math.max(60_000, Math.min(KEPT * EVERY_MS, times.at(-1) - times[0]));
    for (const chart of charts) {
      chart.draw(
        times,
        chart.lines.map(([, value]) => times.map((_, at) => value(at))),
        span,
      );
    }
  }

  let timer = 0;
  tick();
  return () => {
    abort.abort();
    clearTimeout(timer);
  };
}

/** The sums since the start. */
function drawTiles(tiles, metrics) {
  const answers = (status) => total(metrics, "plumb_answers_total", (labels) => labels.status === status);
  const read = total(metrics, "plumb_prompt_tokens_total");
  const again = total(metrics, "plumb_cached_prompt_tokens_total");
  const rows = [
    ["Requests", count(total(metrics, "plumb_requests_total", isAsked))],
    ["Failed", count(total(metrics, "plumb_requests_total", isFailed))],
    ["Answered", count(answers("answered"))],
    ["Abstained", count(answers("abstained"))],
    ["Tokens written", count(total(metrics, "plumb_generated_tokens_total"))],
    ["Prompt from cache", read > 0 ? `${Math.round((100 * again) / read)} %` : "–"],
    ["Memory", bytes(total(metrics, "process_resident_memory_bytes"))],
  ];
  replace(
    tiles,
    rows.map(([name, value]) =>
      h(
        "li",
        { class: "tile" },
        h("span", { class: "tile-value" }, value),
        h("span", { class: "tile-name" }, name),
      ),
    ),
  );
}
