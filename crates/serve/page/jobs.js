// Work that goes on in the server: what it has done so far and how it ended.

import { ApiError, get, json, send } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, fileName, plural, seconds } from "./format.js";
import { icon } from "./icons.js";
import { follow } from "./sse.js";

/** Whether a job goes on. */
export function isRunning({ state }) {
  return state === "queued" || state === "running";
}

/** Follows a job to its end; `onChange(job)` gets it whenever it changed. */
export async function followJob(id, onChange, signal) {
  const events = () =>
    send("GET", `/api/v1/jobs/${id}/events`, { signal, headers: { accept: "text/event-stream" } });
  const onEvent = ({ event, data }) => {
    onChange(data);
    return event === "done";
  };
  try {
    await follow({ open: events, resume: events, onEvent, signal });
  } catch (error) {
    if (signal?.aborted) return;
    onChange(await get(`/api/v1/jobs/${id}`));
  }
}

/** A card that follows a job; `onEnd(job)` is called once. */
export function jobCard(job, { onEnd, signal }) {
  const card = h("div", { class: "job" });
  const draw = (now) => replace(card, jobView(now, stop));
  const stop = async () => {
    try {
      draw(await json("DELETE", `/api/v1/jobs/${job.id}`));
    } catch (error) {
      if (!(error instanceof ApiError) || error.kind !== "conflict") throw error;
    }
  };
  draw(job);
  if (isRunning(job)) {
    let last = job;
    followJob(job.id, (now) => draw((last = now)), signal).then(() => signal?.aborted || onEnd(last));
  }
  return card;
}

const STATES = {
  queued: ["Waiting for its turn", ""],
  running: ["Working", ""],
  done: ["Done", "good"],
  failed: ["Failed", "bad"],
  cancelled: ["Stopped", "still"],
};

function jobView(job, stop) {
  const [text, tone] = STATES[job.state];
  const isKnown = job.total !== null && job.total > 0;
  const amount = isKnown ? `${bytes(job.done)} of ${bytes(job.total)}` : job.done > 0 ? bytes(job.done) : "";
  return [
    h(
      "div",
      { class: "job-head" },
      h("span", { class: "job-subject" }, job.subject),
      h("span", { class: `badge badge-${tone || "busy"}` }, text),
      isRunning(job) &&
        h(
          "button",
          {
            class: "icon-button",
            type: "button",
            "aria-label": `Stop: ${job.subject}`,
            title: "Stop",
            on: { click: stop },
          },
          icon("close"),
        ),
    ),
    isRunning(job) &&
      h("progress", {
        "aria-label": job.subject,
        max: isKnown ? job.total : null,
        value: isKnown ? job.done : null,
      }),
    h("p", { class: "muted small" }, [amount, job.error].filter(Boolean).join(" · ")),
    job.kind === "index" && job.result && report(job.result),
  ];
}

/** What came of reading documents. */
function report({ added, unchanged, duplicates, removed, passages, skipped, warnings, seconds: took }) {
  const parts = [
    [added, `${added} added`],
    [unchanged, `${unchanged} as before`],
    [duplicates, plural(duplicates, "duplicate")],
    [removed, `${removed} removed`],
    [passages, plural(passages, "passage")],
  ]
    .filter(([n]) => n > 0)
    .map(([, text]) => text);
  const unread = [...(skipped ?? []).map((one) => ({ ...one, isWhole: true })), ...(warnings ?? [])];
  return [
    h("p", { class: "small" }, `${parts.join(", ") || "Nothing new"} in ${seconds(took)}.`),
    unread.length > 0 &&
      h(
        "ul",
        { class: "job-unread" },
        unread.map(({ uri, reason, isWhole }) =>
          h(
            "li",
            {},
            icon("warning"),
            h(
              "span",
              {},
              h("strong", {}, fileName(uri)),
              isWhole ? " was not read: " : " was read in part: ",
              reason,
            ),
          ),
        ),
      ),
  ];
}
