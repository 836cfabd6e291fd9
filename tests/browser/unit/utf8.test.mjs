import assert from "node:assert/strict";
import { test } from "node:test";
import { byteLength, pieces, unitRanges } from "../../../crates/serve/page/utf8.js";

const encoder = new TextEncoder();
const TEXTS = ["", "plain", "naïve café", "日本語 text", "𝄞 clef 👩‍🔬 end", "a\uD800b\uDC00", "mixed: ß€𝄞\n"];

test("bytes are counted as an encoder writes them", () => {
  for (const text of TEXTS) assert.equal(byteLength(text), encoder.encode(text).length, text);
});

/** The text of whole characters that a range of bytes touches, by decoding each character. */
function touched(text, [start, end]) {
  let at = 0;
  let out = "";
  for (const character of text) {
    const next = at + encoder.encode(character).length;
    if (start < end && at < end && next > start) out += character;
    at = next;
  }
  return out;
}

test("every range of bytes gives the characters that it touches", () => {
  for (const text of TEXTS) {
    const total = encoder.encode(text).length;
    for (let start = 0; start <= total; start += 1) {
      for (let end = start + 1; end <= total; end += 1) {
        const [[from, to]] = unitRanges(text, [[start, end]]);
        assert.equal(text.slice(from, to), touched(text, [start, end]), `${text} ${start}..${end}`);
      }
    }
  }
});

test("ranges count from the base, and several are found in one pass", () => {
  const text = "naïve café 𝄞";
  const bytes = encoder.encode(text);
  const base = 1000;
  const ranges = [
    [base + 6, base + 12],
    [base, base + 6],
    [base + bytes.length - 4, base + bytes.length],
  ];
  const found = unitRanges(text, ranges, base).map(([from, to]) => text.slice(from, to));
  assert.deepEqual(found, [" café", "naïve", "𝄞"]);
});

test("what lies outside of the text is cut off", () => {
  assert.deepEqual(
    unitRanges("abc", [
      [2, 99],
      [50, 60],
    ]),
    [
      [2, 3],
      [3, 3],
    ],
  );
  assert.deepEqual(unitRanges("abc", [[0, 10]], 5), [[0, 3]]);
});

test("pieces are the text again, and ranges keep their number", () => {
  const cut = pieces("0123456789", [
    [6, 8],
    [1, 3],
    [2, 5],
    [4, 4],
  ]);
  assert.equal(cut.map(({ text }) => text).join(""), "0123456789");
  assert.deepEqual(
    cut.map(({ range }) => range),
    [-1, 1, 2, -1, 0, -1],
  );
  assert.deepEqual(cut[2], { text: "34", range: 2 });
});
