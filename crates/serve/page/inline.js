// Markdown within a block. Leaves keep their place in the source, so that a
// range of the source can be marked in what is shown of it.
//
// A leaf is { type: "text", value, at, end }: `value` stands for
// source[at..end], letter by letter where the lengths agree. Links and images
// are shown as text with their address and lead nowhere.

const ESCAPABLE = /[!-/:-@[-`{-~]/;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00A0" };
/** Longer text is not parsed, nor deeper nesting: whoever wrote it means no emphasis. */
const MAX_UNITS = 20_000;
const MAX_DEPTH = 12;

/** Text whose unit `i` is unit `places[i]` of the source. */
export class Line {
  constructor(text, places) {
    this.text = text;
    this.places = places;
  }

  /** A stretch of the source as it is. */
  static of(text, at) {
    return new Line(
      text,
      Array.from({ length: text.length }, (_, i) => at + i),
    );
  }

  slice(from, to = this.text.length) {
    return new Line(this.text.slice(from, to), this.places.slice(from, to));
  }

  /** Lines with a line break between them. */
  static join(lines) {
    const [text, places] = [[], []];
    lines.forEach((line, index) => {
      if (index > 0) {
        text.push("\n");
        places.push((places.at(-1) ?? line.places[0] ?? 1) + 1);
      }
      text.push(line.text);
      for (const place of line.places) places.push(place);
    });
    return new Line(text.join(""), places);
  }
}

/** The nodes of a line of text. */
export function parseInline(line, depth = 0) {
  if (depth > MAX_DEPTH || line.text.length > MAX_UNITS) return leaf(line, 0, line.text.length);
  const nodes = [];
  let plain = 0;
  let i = 0;
  while (i < line.text.length) {
    const found = special(line, i, depth);
    if (found === null) {
      i += 1;
      continue;
    }
    nodes.push(...leaf(line, plain, i), ...found.nodes);
    i = found.next;
    plain = i;
  }
  nodes.push(...leaf(line, plain, line.text.length));
  return nodes;
}

/** A leaf for units that stand side by side in the source, and the next ones. */
function leaf(line, from, to) {
  const nodes = [];
  let start = from;
  for (let i = from + 1; i <= to; i += 1) {
    if (i < to && line.places[i] === line.places[i - 1] + 1) continue;
    const [at, end] = [line.places[start], line.places[i - 1] + 1];
    nodes.push({ type: "text", value: line.text.slice(start, i), at, end });
    start = i;
  }
  return nodes;
}

/** One sign that stands for a longer stretch of the source. */
function sign(line, value, from, to) {
  return { type: "text", value, at: line.places[from], end: line.places[to - 1] + 1 };
}

/** What begins at unit `i`, if it is more than a letter. */
function special(line, i, depth) {
  const { text } = line;
  switch (text[i]) {
    case "\\":
      return escaped(line, i);
    case "`":
      return code(line, i);
    case "*":
    case "_":
    case "~":
      return emphasis(line, i, depth);
    case "!":
      return text[i + 1] === "[" ? link(line, i + 1, depth, i) : null;
    case "[":
      return link(line, i, depth, i);
    case "&":
      return entity(line, i);
    case "\n":
      return lineBreak(line, i);
    default:
      return null;
  }
}

function escaped(line, i) {
  const next = line.text[i + 1];
  if (next === "\n") return { nodes: [{ type: "break" }], next: i + 2 };
  if (next === undefined || !ESCAPABLE.test(next)) return null;
  return { nodes: [sign(line, next, i, i + 2)], next: i + 2 };
}

function lineBreak(line, i) {
  const isHard = line.text.slice(0, i).endsWith("  ");
  return { nodes: isHard ? [{ type: "break" }] : [sign(line, " ", i, i + 1)], next: i + 1 };
}

function entity(line, i) {
  const match = /^&(?:([a-z]+)|#(\d{1,7})|#x([0-9a-f]{1,6}));/i.exec(line.text.slice(i, i + 12));
  if (!match) return null;
  const point = match[2] ? Number(match[2]) : Number.parseInt(match[3], 16);
  const value = match[1] ? ENTITIES[match[1].toLowerCase()] : character(point);
  if (value === undefined) return null;
  const next = i + match[0].length;
  return { nodes: [sign(line, value, i, next)], next };
}

function character(point) {
  const isText = point > 0 && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
  return isText ? String.fromCodePoint(point) : "\uFFFD";
}

function code(line, i) {
  const fence = /^`+/.exec(line.text.slice(i))[0];
  let end = line.text.indexOf(fence, i + fence.length);
  while (end >= 0 && line.text[end + fence.length] === "`") {
    const run = /^`+/.exec(line.text.slice(end))[0].length;
    end = line.text.indexOf(fence, end + run);
  }
  if (end < 0) return { nodes: leaf(line, i, i + fence.length), next: i + fence.length };
  const inner = leaf(line, i + fence.length, end);
  return { nodes: [{ type: "code", children: inner }], next: end + fence.length };
}

function emphasis(line, i, depth) {
  const { text } = line;
  const letter = text[i];
  const run = /^(\*+|_+|~+)/.exec(text.slice(i))[0];
  const skip = { nodes: leaf(line, i, i + run.length), next: i + run.length };
  const width = Math.min(run.length, 2);
  if ((letter === "~" && run.length !== 2) || run.length > 3) return skip;
  // `snake_case` is no emphasis, and neither is ` * `.
  const after = text[i + run.length];
  if (after === undefined || /\s/.test(after)) return skip;
  if (letter === "_" && /[\p{L}\p{N}]/u.test(text[i - 1] ?? " ")) return skip;
  const end = closing(text, i + run.length, run);
  if (end < 0) return skip;
  const children = parseInline(line.slice(i + run.length, end), depth + 1);
  const outer = letter === "~" ? "del" : width === 2 ? "strong" : "em";
  const inner = run.length === 3 ? [{ type: "em", children }] : children;
  return { nodes: [{ type: outer, children: inner }], next: end + run.length };
}

/** Where the run that closes one begins, at or after `from`; -1 if nowhere. */
function closing(text, from, run) {
  const letter = run[0];
  for (let at = text.indexOf(run, from); at >= 0; at = text.indexOf(run, at)) {
    let length = 0;
    while (text[at + length] === letter) length += 1;
    const isTight = !/\s/.test(text[at - 1]) && text[at - 1] !== "\\" && at > from;
    const isWord = letter === "_" && /[\p{L}\p{N}]/u.test(text[at + length] ?? " ");
    if (length === run.length && isTight && !isWord) return at;
    at += length;
  }
  return -1;
}

/** `[text](address "title")` or `![alt](address)`. */
function link(line, i, depth, start) {
  const { text } = line;
  const close = matching(text, i);
  if (close < 0 || text[close + 1] !== "(") return null;
  const match =
    /^\(\s*(<[^>\n]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)(?:\s+(?:"[^"\n]*"|'[^'\n]*'))?\s*\)/.exec(
      text.slice(close + 1, close + 2_000),
    );
  if (!match) return null;
  const next = close + 1 + match[0].length;
  const address = match[1].replace(/^<|>$/g, "");
  const children = parseInline(line.slice(i + 1, close), depth + 1);
  const type = start === i ? "link" : "image";
  return { nodes: [{ type, address, children }], next };
}

/** The bracket that closes the one at `i`; -1 if none does. */
function matching(text, i) {
  let depth = 0;
  for (let at = i; at < text.length && at < i + 2_000; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "[") depth += 1;
    else if (text[at] === "]") {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}
