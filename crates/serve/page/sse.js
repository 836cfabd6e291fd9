// Server-sent events, read from the body of a response, so that a question can
// be posted and its stream be taken up again after a break.

/** Takes text as it comes and calls `onEvent({ id, event, data })` for each event. */
export class EventParser {
  #onEvent;
  #rest = "";
  #isFirst = true;
  #event = "";
  #data = [];
  #id = "";

  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  feed(text) {
    this.#rest += text;
    if (this.#isFirst && this.#rest !== "") {
      if (this.#rest.startsWith("\uFEFF")) this.#rest = this.#rest.slice(1);
      this.#isFirst = false;
    }
    let from = 0;
    for (;;) {
      const [end, next] = lineEnd(this.#rest, from);
      if (end < 0) break;
      this.#line(this.#rest.slice(from, end));
      from = next;
    }
    this.#rest = this.#rest.slice(from);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch() {
    const [event, data] = [this.#event || "message", this.#data.join("\n")];
    const isEmpty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    if (!isEmpty) this.#onEvent({ id: this.#id, event, data });
  }
}

/** Where the line that starts at `from` ends and the next one starts; -1 if not yet. */
function lineEnd(text, from) {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === "\n") return [i, i + 1];
    if (text[i] !== "\r") continue;
    // The "\n" of "\r\n" may still be on its way.
    if (i + 1 === text.length) return [-1, from];
    return [i, text[i + 1] === "\n" ? i + 2 : i + 1];
  }
  return [-1, from];
}

/** Calls `onEvent` for each event of a response until its body ends. */
export async function readEvents(response, onEvent) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser(onEvent);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(decoder.decode(value, { stream: true }));
  }
}

/** Seconds to wait before the tries to take a stream up again. */
const WAITS = [0.3, 0.7, 1.5, 3, 5, 8, 8, 8];

/**
 * Follows a stream to its last event, over breaks of the connection.
 *
 * `open()` gives the first response and `resume(lastId)` one that goes on after
 * that event. `onEvent({ id, event, data })` gets parsed data and returns true
 * for the last event. `onBreak(isBroken)` is told of breaks and their ends.
 */
export async function follow({ open, resume, onEvent, onBreak = () => {}, signal, waits = WAITS }) {
  let [lastId, isOver, tries, fault] = ["", false, 0, null];
  const take = ({ id, event, data }) => {
    lastId = id || lastId;
    if (tries > 0) onBreak(false);
    tries = 0;
    try {
      isOver = onEvent({ id, event, data: JSON.parse(data) }) || isOver;
    } catch (error) {
      // A fault of this page must not pass for a lost connection.
      fault = error;
      throw error;
    }
  };
  let next = open;
  while (!isOver) {
    try {
      await readEvents(await next(), take);
      if (isOver) return;
      if (lastId === "") throw new TypeError("the stream ended before it began");
    } catch (error) {
      // Only a lost connection is worth another try: what the server says holds.
      const isLost = (error instanceof TypeError || error.kind === "network") && lastId !== "";
      if (isOver) return;
      if (fault || !isLost || signal?.aborted || tries >= waits.length) throw error;
    }
    if (tries >= waits.length) throw new TypeError("the connection was lost");
    onBreak(true);
    await pause(waits[tries] * 1000, signal);
    tries += 1;
    const after = lastId;
    next = () => resume(after);
  }
}

function pause(ms, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(new DOMException("stopped", "AbortError"));
    });
  });
}
