import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, follow, readEvents } from "../../../crates/serve/page/sse.js";

const STREAM =
  '\uFEFF: hello\r\nid: a:1\r\nevent: delta\r\ndata: {"x":\r\ndata: 1}\r\n\r\n' +
  "data\n\nid: a:2\rdata: two\r\revent: lost\n\nretry: 5\nunknown: x\ndata:  three\n\n";
const EVENTS = [
  { id: "a:1", event: "delta", data: '{"x":\n1}' },
  { id: "a:1", event: "message", data: "" },
  { id: "a:2", event: "message", data: "two" },
  { id: "a:2", event: "message", data: " three" },
];

test("a stream is parsed alike however it is cut", () => {
  for (let size = 1; size <= STREAM.length; size += 1) {
    const events = [];
    const parser = new EventParser((event) => events.push(event));
    for (let at = 0; at < STREAM.length; at += size) parser.feed(STREAM.slice(at, at + size));
    assert.deepEqual(events, EVENTS, `in pieces of ${size}`);
  }
});

test("a character that is cut in two comes whole", async () => {
  const bytes = new TextEncoder().encode("data: naïve 𝄞\n\n");
  const events = [];
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    await readEvents(response([bytes.slice(0, cut), bytes.slice(cut)]), ({ data }) => events.push(data));
  }
  assert.equal(events.length, bytes.length + 1);
  assert.ok(events.every((data) => data === "naïve 𝄞"));
});

/** A response whose body is `chunks` and then ends or, with `error`, breaks. */
function response(chunks, error) {
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      if (error) controller.error(error);
      else controller.close();
    },
  });
  return { body };
}

const event = (n, name = "delta") => `id: a:${n}\nevent: ${name}\ndata: ${n}\n\n`;

test("a stream that breaks is taken up after its last event, and only then", async () => {
  const [seen, breaks, asked] = [[], [], []];
  const rest = [
    () => Promise.reject(new TypeError("network")),
    () => response([event(3)]),
    () => response([event(4), event(5, "done")]),
  ];
  await follow({
    open: async () => response([event(1), event(2)]),
    resume: async (lastId) => {
      asked.push(lastId);
      return rest.shift()();
    },
    onEvent: ({ event: name, data }) => {
      seen.push(data);
      return name === "done";
    },
    onBreak: (isBroken) => breaks.push(isBroken),
    waits: [0, 0, 0],
  });
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
  assert.deepEqual(asked, ["a:2", "a:2", "a:3"]);
  assert.deepEqual(breaks, [true, true, false, true, false]);
});

test("what the server refuses is not tried again", async () => {
  let tries = 0;
  const refused = Object.assign(new Error("busy"), { kind: "busy" });
  const open = async () => {
    tries += 1;
    throw refused;
  };
  await assert.rejects(follow({ open, resume: open, onEvent: () => false, waits: [0, 0] }), refused);
  assert.equal(tries, 1);
});

test("after the last try the break is told", async () => {
  let tries = 0;
  const resume = async () => {
    tries += 1;
    throw new TypeError("network");
  };
  const open = async () => response([event(1)]);
  await assert.rejects(follow({ open, resume, onEvent: () => false, waits: [0, 0, 0] }), TypeError);
  assert.equal(tries, 3);
});

test("a fault in what takes events is not taken for a lost connection", async () => {
  const open = async () => response([event(1), event(2)]);
  const onEvent = ({ data }) => data.missing.field;
  let resumed = 0;
  const resume = async () => (resumed += 1);
  await assert.rejects(follow({ open, resume, onEvent, waits: [0] }), TypeError);
  assert.equal(resumed, 0);
});

test("stopping ends the wait for the next try", async () => {
  const abort = new AbortController();
  const following = follow({
    open: async () => response([event(1)]),
    resume: async () => response([]),
    onEvent: () => false,
    onBreak: () => setTimeout(() => abort.abort(), 1),
    signal: abort.signal,
    waits: [60],
  });
  await assert.rejects(following, { name: "AbortError" });
});
