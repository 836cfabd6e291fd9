// One question on its way: sent, followed over breaks of the connection and
// reloads of the page, and stopped when nobody wants it any more.

import { json, lost, send } from "./api.js";
import { say } from "./notice.js";
import { follow } from "./sse.js";
import { remember, remembered } from "./state.js";
import { Turn } from "./turn.js";

const LEFT = "plumb.asking";

let asking = null;

/** The question that is being answered, or `null`. */
export function current() {
  return asking;
}

/** What a page that was reloaded was about to be answered: `{ ask, question, … }`. */
export function left() {
  try {
    return JSON.parse(remembered(LEFT, "sessionStorage"));
  } catch {
    return null;
  }
}

/** Asks a question; `done` of the result resolves at its end, however it ends. */
export function startAsking({ question, options, history, conversation, collection, turns }) {
  const before = conversation ? { conversation } : { collection, history };
  const body = { question, ...before, resumable: true, ...options };
  const open = (signal) =>
    send("POST", "/api/v1/ask", { body, signal, headers: { accept: "text/event-stream" } });
  return run({ question, conversation, collection, turns, ask: null, open });
}

/** Goes on with a question that was left; `null` if it is over. */
export async function takeUp(leftover) {
  if (!leftover || asking) return asking;
  remember(LEFT, null, "sessionStorage");
  try {
    const response = await events(leftover.ask, "", undefined);
    let isFirst = true;
    const open = (signal) => {
      if (!isFirst) return events(leftover.ask, "", signal);
      isFirst = false;
      return Promise.resolve(response);
    };
    return run({ ...leftover, open });
  } catch {
    // It is over: what was answered is in the conversation.
    return null;
  }
}

function events(ask, lastId, signal) {
  const headers = { accept: "text/event-stream", ...(lastId ? { "last-event-id": lastId } : {}) };
  return send("GET", `/api/v1/ask/${ask}/events`, { headers, signal });
}

function run({ question, conversation, collection, turns, ask, open }) {
  const abort = new AbortController();
  const turn = new Turn(question, collection);
  const own = { conversation, turn, ask, stop };
  asking = own;

  function stop() {
    if (abort.signal.aborted) return;
    abort.abort();
    // The server would notice by itself, but only after waiting for the page to come back.
    if (own.ask) json("DELETE", `/api/v1/ask/${own.ask}`).catch(() => {});
    turn.stop();
    say("Stopped.");
  }

  function onEvent({ event, data }) {
    if (event === "search" && !own.ask) {
      own.ask = data.ask;
      remember(
        LEFT,
        JSON.stringify({ ask: own.ask, question, conversation, collection, turns }),
        "sessionStorage",
      );
    }
    turn.apply(event, data);
    return event === "done" || event === "error";
  }

  const following = follow({
    open: () => open(abort.signal),
    resume: (lastId) => events(own.ask, lastId, abort.signal),
    onEvent,
    onBreak: (isBroken) => turn.setBroken(isBroken),
    signal: abort.signal,
  });
  own.done = following
    .catch((error) => {
      if (!abort.signal.aborted) turn.fail(error instanceof TypeError ? lost() : error);
    })
    .finally(() => {
      remember(LEFT, null, "sessionStorage");
      asking = null;
    });
  return own;
}
