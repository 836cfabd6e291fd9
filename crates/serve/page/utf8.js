// Ranges of bytes of UTF-8 text, as citations count them, in the UTF-16 units
// in which scripts count.

/** Bytes of the UTF-8 form of a string. */
export function byteLength(text) {
  let length = 0;
  for (let i = 0; i < text.length; i += 1) length += unitBytes(text, i);
  return length;
}

/**
 * Bytes of the character that ends at unit `i`: none for the first half of a
 * pair, four for its second.
 */
function unitBytes(text, i) {
  const unit = text.charCodeAt(i);
  if (unit < 0x80) return 1;
  if (unit < 0x800) return 2;
  if (isHigh(unit) && isLow(text.charCodeAt(i + 1))) return 0;
  if (isLow(unit) && i > 0 && isHigh(text.charCodeAt(i - 1))) return 4;
  return 3;
}

function isHigh(unit) {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit) {
  return unit >= 0xdc00 && unit < 0xe000;
}

/**
 * The unit ranges of byte ranges of a text whose first byte has the number
 * `base`. A range is widened to whole characters and cut to the text; what is
 * left of it may be empty.
 */
export function unitRanges(text, ranges, base = 0) {
  const wanted = ranges.flatMap(([start, end], index) => [
    { at: start - base, index, side: 0 },
    { at: end - base, index, side: 1 },
  ]);
  wanted.sort((a, b) => a.at - b.at);
  const found = ranges.map(() => [text.length, text.length]);
  let [bytes, unit, start] = [0, 0, 0];
  for (const { at, index, side } of wanted) {
    while (bytes < at && unit < text.length) {
      // A character begins at `start` and is behind us at `unit`.
      start = unit;
      bytes += unitBytes(text, unit);
      unit += 1;
      if (isHigh(text.charCodeAt(start)) && isLow(text.charCodeAt(unit))) {
        bytes += unitBytes(text, unit);
        unit += 1;
      }
    }
    // A range that starts within a character starts before it.
    found[index][side] = side === 0 && bytes > at && at > 0 ? start : unit;
  }
  return found;
}

/**
 * Cuts `text` at ranges of units that do not overlap:
 * `[{ text, range: index or -1 }]`, in order, without empty pieces.
 */
export function pieces(text, ranges) {
  const order = ranges.map((range, index) => ({ range, index })).filter(({ range: [a, b] }) => a < b);
  order.sort((a, b) => a.range[0] - b.range[0]);
  const out = [];
  let at = 0;
  for (const {
    range: [from, to],
    index,
  } of order) {
    const start = Math.max(from, at);
    if (start >= to) continue;
    if (start > at) out.push({ text: text.slice(at, start), range: -1 });
    out.push({ text: text.slice(start, to), range: index });
    at = to;
  }
  if (at < text.length) out.push({ text: text.slice(at), range: -1 });
  return out;
}
