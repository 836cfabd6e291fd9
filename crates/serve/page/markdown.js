// Markdown to a tree, and the tree to elements. It reads what documents and
// answers are made of: headings, paragraphs, lists, quotes, code, tables and
// rules. Markup of other kinds is shown as the text that it is.
//
// A block is { type, children } with further fields by type; leaves are those
// of `inline.js`, or { type: "raw", value, at, end } in code.

import { Line, parseInline } from "./inline.js";
import { h } from "./dom.js";
import { pieces } from "./utf8.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?: {1,4}(?=\S)| *$| +)/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const MAX_DEPTH = 12;

/** The blocks of a text. */
export function parse(text) {
  const lines = [];
  let at = 0;
  for (const line of text.split("\n")) {
    lines.push(Line.of(line.endsWith("\r") ? line.slice(0, -1) : line, at));
    at += line.length + 1;
  }
  return blocks(lines, 0);
}

function blocks(lines, depth) {
  const out = [];
  let i = 0;
  while (i < lines.length) {
    if (isBlank(lines[i])) {
      i += 1;
      continue;
    }
    const [block, next] = blockAt(lines, i, depth);
    out.push(block);
    i = next;
  }
  return out;
}

function isBlank(line) {
  return line.text.trim() === "";
}

function blockAt(lines, i, depth) {
  const { text } = lines[i];
  if (depth === 0 && i === 0 && text.trim() === "---") {
    const end = lines.findIndex((line, index) => index > 0 && line.text.trim() === "---");
    if (end > 0 && end < 100) return [raw(lines.slice(1, end), "front matter"), end + 1];
  }
  if (FENCE.test(text)) return fenced(lines, i);
  if (HEADING.test(text)) return [heading(lines[i]), i + 1];
  if (RULE.test(text)) return [{ type: "rule" }, i + 1];
  if (QUOTE.test(text) && depth < MAX_DEPTH) return quote(lines, i, depth);
  if (ITEM.test(text) && depth < MAX_DEPTH) return list(lines, i, depth);
  if (/^( {4}|\t)/.test(text)) return indented(lines, i);
  if (isTable(lines, i)) return table(lines, i);
  return paragraph(lines, i);
}

function raw(lines, language) {
  const line = Line.join(lines);
  const children = [];
  let start = 0;
  // Lines of a quote or list are not side by side in the source.
  for (let i = 1; i <= line.text.length; i += 1) {
    if (i < line.text.length && line.places[i] === line.places[i - 1] + 1) continue;
    const [at, end] = [line.places[start], line.places[i - 1] + 1];
    children.push({ type: "text", value: line.text.slice(start, i), at, end });
    start = i;
  }
  return { type: "pre", language, children };
}

function fenced(lines, i) {
  const [, fence, language] = FENCE.exec(lines[i].text);
  const isEnd = ({ text }) => {
    const trimmed = text.trim();
    return trimmed.length >= fence.length && trimmed === fence[0].repeat(trimmed.length);
  };
  let end = i + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  return [raw(lines.slice(i + 1, end), language), end + 1];
}

function indented(lines, i) {
  let end = i;
  while (end < lines.length && (/^( {4}|\t)/.test(lines[end].text) || isBlank(lines[end]))) end += 1;
  while (isBlank(lines[end - 1])) end -= 1;
  const inner = lines.slice(i, end).map((line) => line.slice(/^( {4}|\t|\s*)/.exec(line.text)[0].length));
  return [raw(inner, ""), end];
}

function heading(line) {
  const [marks, hashes] = HEADING.exec(line.text);
  const end = line.text.replace(/[ \t]+#*[ \t]*$/, "").length;
  const inner = line.slice(marks.length, Math.max(end, marks.length));
  return { type: "heading", level: hashes.length, children: parseInline(inner) };
}

function quote(lines, i, depth) {
  const inner = [];
  let end = i;
  for (; end < lines.length && !isBlank(lines[end]); end += 1) {
    const mark = QUOTE.exec(lines[end].text);
    // A line without the mark goes on with the paragraph before it.
    if (!mark && startsBlock(lines, end)) break;
    inner.push(lines[end].slice(mark ? mark[0].length : 0));
  }
  return [{ type: "quote", children: blocks(inner, depth + 1) }, end];
}

function list(lines, i, depth) {
  const kind = kindOf(ITEM.exec(lines[i].text)[2]);
  const items = [];
  let [end, isLoose] = [i, false];
  while (end < lines.length) {
    const mark = ITEM.exec(lines[end].text);
    if (!mark || kindOf(mark[2]) !== kind || RULE.test(lines[end].text)) break;
    const [inner, next] = item(lines, end, mark[0].length);
    items.push({ type: "item", children: blocks(inner, depth + 1) });
    const gap = next > end && next < lines.length && isBlank(lines[next - 1]);
    isLoose ||= gap && ITEM.test(lines[next].text);
    end = next;
  }
  const start = kind === "." || kind === ")" ? Number.parseInt(lines[i].text.trim(), 10) : null;
  return [{ type: "list", start, isLoose, children: items }, end];
}

/** What tells one list from the next: the bullet, or the sign after the number. */
function kindOf(marker) {
  return marker.at(-1);
}

/** The lines of an item without their indent, and where the next one starts. */
function item(lines, i, indent) {
  const inner = [lines[i].slice(Math.min(indent, lines[i].text.length))];
  let end = i + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (isBlank(line)) {
      const after = lines.slice(end).find((next) => !isBlank(next));
      if (!after || indentOf(after) < Math.min(indent, 2)) {
        while (end < lines.length && isBlank(lines[end])) end += 1;
        break;
      }
      inner.push(line);
    } else if (indentOf(line) >= Math.min(indent, 2)) {
      inner.push(line.slice(Math.min(indentOf(line), indent)));
    } else if (startsBlock(lines, end) || isBlank(lines[end - 1])) {
      break;
    } else {
      inner.push(line);
    }
  }
  return [inner, end];
}

function indentOf(line) {
  return line.text.length - line.text.trimStart().length;
}

function startsBlock(lines, i) {
  const { text } = lines[i];
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((start) => start.test(text));
}

function isTable(lines, i) {
  const next = lines[i + 1];
  return (
    lines[i].text.includes("|") &&
    next !== undefined &&
    next.text.includes("-") &&
    DELIMITERS.test(next.text) &&
    cells(lines[i]).length === cells(next).length
  );
}

function table(lines, i) {
  const aligns = cells(lines[i + 1]).map(({ text }) => {
    const [left, right] = [text.startsWith(":"), text.endsWith(":")];
    return right ? (left ? "center" : "right") : "left";
  });
  const row = (line) => ({
    type: "row",
    children: cells(line)
      .slice(0, aligns.length)
      .map((cell, column) => ({ type: "cell", align: aligns[column], children: parseInline(cell) })),
  });
  let end = i + 2;
  while (end < lines.length && !isBlank(lines[end]) && lines[end].text.includes("|")) end += 1;
  return [{ type: "table", head: row(lines[i]), children: lines.slice(i + 2, end).map(row) }, end];
}

/** The cells of a row, without the blanks around them. */
function cells(line) {
  const out = [];
  const { text } = line;
  let from = /^\s*\|?/.exec(text)[0].length;
  for (let i = from; i <= text.length; i += 1) {
    if (text[i] === "\\") {
      i += 1;
    } else if (i === text.length || text[i] === "|") {
      if (i < text.length || text.slice(from).trim() !== "") out.push(trimmed(line, from, i));
      from = i + 1;
    }
  }
  return out;
}

function trimmed(line, from, to) {
  const cell = line.text.slice(from, to);
  const start = from + (cell.length - cell.trimStart().length);
  return line.slice(start, Math.max(start, to - (cell.length - cell.trimEnd().length)));
}

function paragraph(lines, i) {
  let end = i + 1;
  while (end < lines.length && !isBlank(lines[end]) && !startsBlock(lines, end) && !isUnderline(lines[end]))
    end += 1;
  const inner = lines.slice(i, end).map((line) => line.slice(indentOf(line)));
  const children = parseInline(Line.join(inner));
  if (end < lines.length && isUnderline(lines[end])) {
    return [{ type: "heading", level: lines[end].text.includes("=") ? 1 : 2, children }, end + 1];
  }
  return [{ type: "paragraph", children }, end];
}

function isUnderline(line) {
  return /^ {0,3}(=+|-+)[ \t]*$/.test(line.text);
}

/** The text of nodes, without markup. */
export function plain(nodes) {
  return nodes.map((node) => node.value ?? plain(node.children ?? [])).join("");
}

/**
 * Elements for nodes. `marked` are ranges of the source that are marked; the
 * pieces of range `i` are `<mark data-range="i">`. Headings start at `level`.
 */
export function render(nodes, { marked = [], level = 3 } = {}) {
  return nodes.flatMap((node) => element(node, { marked, level }));
}

function element(node, settings) {
  const inner = () => render(node.children, settings);
  switch (node.type) {
    case "text":
      return leaf(node, settings.marked);
    case "break":
      return h("br");
    case "rule":
      return h("hr");
    case "heading":
      return h(`h${Math.min(6, node.level + settings.level - 1)}`, {}, inner());
    case "paragraph":
      return h("p", {}, inner());
    case "quote":
      return h("blockquote", {}, inner());
    case "pre":
      return h("pre", { tabindex: "0" }, h("code", {}, inner()));
    case "list":
      return listElement(node, settings);
    case "table":
      return tableElement(node, settings);
    case "link":
      return [h("span", { class: "link" }, inner()), address(node)];
    case "image":
      return [h("span", { class: "image" }, "[image: ", inner(), "]"), address(node)];
    default:
      return h(node.type, {}, inner());
  }
}

/** Where a link leads, to be read and not to be followed. */
function address({ address: text, children }) {
  const isShown = text !== "" && !text.startsWith("#") && plain(children) !== text;
  return isShown ? h("span", { class: "address" }, ` (${text})`) : [];
}

function listElement(node, settings) {
  const tag = node.start === null ? "ul" : "ol";
  const start = node.start === null || node.start === 1 ? null : node.start;
  const items = node.children.map((item) =>
    h(
      "li",
      {},
      item.children.flatMap((block) =>
        block.type === "paragraph" && !node.isLoose
          ? render(block.children, settings)
          : element(block, settings),
      ),
    ),
  );
  return h(tag, { start }, items);
}

function tableElement(node, settings) {
  const row = (cells, tag) =>
    h(
      "tr",
      {},
      cells.children.map((cell) => h(tag, { class: `align-${cell.align}` }, render(cell.children, settings))),
    );
  return h(
    "div",
    { class: "table-scroll", tabindex: "0" },
    h(
      "table",
      {},
      h("thead", {}, row(node.head, "th")),
      h(
        "tbody",
        {},
        node.children.map((cells) => row(cells, "td")),
      ),
    ),
  );
}

/** A leaf, cut where marked ranges of the source begin and end. */
function leaf(node, marked) {
  const isLiteral = node.value.length === node.end - node.at;
  const own = marked.map(([from, to]) => {
    const [start, end] = [Math.max(from, node.at), Math.min(to, node.end)];
    if (start >= end) return [0, 0];
    return isLiteral ? [start - node.at, end - node.at] : [0, node.value.length];
  });
  return markedText(node.value, own);
}

/** Text with ranges of its units marked. */
export function markedText(text, ranges) {
  return pieces(text, ranges).map((piece) =>
    piece.range < 0
      ? document.createTextNode(piece.text)
      : h("mark", { data: { range: piece.range } }, piece.text),
  );
}
