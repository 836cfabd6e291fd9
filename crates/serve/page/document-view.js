// The text of a document with a cited range marked: as a reader sees it, byte
// for byte, or, for a PDF, as its pages.

import { get, send } from "./api.js";
import { h, replace } from "./dom.js";
import { failureBox, hintBox, loading } from "./notice.js";
import { markedText, parse, render } from "./markdown.js";
import { byteLength, unitRanges } from "./utf8.js";

/** Bytes of a document that are shown at once; of a longer one, those around the place. */
const WINDOW = 400_000;
/** Passages that are asked for at once. */
const PASSAGES = 200;

/** Fills `body` with a view of a document and `acts` with the choice between views. */
export async function documentView(asked) {
  const { body, acts, found } = asked;
  const text = await readText(asked);
  const passages = await readPassages(asked);
  if (!asked.isCurrent()) return;
  const modes = modesOf(found);
  const buttons = modes.map(({ name, view }) => {
    const button = h("button", { class: "segment", type: "button", "aria-pressed": "false" }, name);
    button.addEventListener("click", () => choose(button, view));
    return button;
  });
  if (modes.length > 1)
    acts.append(h("div", { class: "segments", role: "group", "aria-label": "View" }, buttons));
  choose(buttons[0], modes[0].view);

  function choose(button, view) {
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    replace(body, view({ ...asked, text, passages }));
    scrollToMark(body);
  }
}

function modesOf({ kind, has_original: has }) {
  const exact = { name: "Exact text", view: exactView };
  if (kind === "markdown") return [{ name: "Reading", view: markdownView }, exact];
  if (kind === "html") return [{ name: "Reading", view: passageView }, exact];
  if (kind === "pdf")
    return [{ name: "Text", view: exactView }, ...(has ? [{ name: "Pages", view: pageView }] : [])];
  return [exact];
}

/** The text, or the part of it around the place: `{ text, base, total }`. */
async function readText({ found, place, collection, snapshot }) {
  const [from] = place.byte_range ?? [0, 0];
  const isWhole = found.text_bytes <= WINDOW;
  const start = isWhole ? 0 : Math.max(0, from - WINDOW / 2);
  const query = { collection, snapshot, start, length: WINDOW };
  const read = await get(`/api/v1/documents/${found.id}/text`, query);
  return { text: read.text, base: read.byte_range[0], total: read.bytes };
}

/** The passages around the place, which know pages; as many as one request gives. */
async function readPassages({ found, place, collection, snapshot }) {
  if (found.kind === "markdown" || found.kind === "text") return [];
  const [from] = place.byte_range ?? [0, 0];
  // Passages are about equally long, so that the place is about here.
  const guess = Math.floor((found.passages * from) / Math.max(1, found.text_bytes)) - PASSAGES / 2;
  const offset = Math.max(0, Math.min(guess, found.passages - PASSAGES));
  const query = { collection, snapshot, offset, limit: PASSAGES };
  return (await get(`/api/v1/documents/${found.id}/passages`, query)).passages;
}

/** The cited range in units of the text that was read; none without one. */
function markedRange({ place, text: { text, base } }) {
  return place.byte_range ? unitRanges(text, [place.byte_range], base) : [];
}

function cutNote({ text: { text, base, total } }) {
  const shown = byteLength(text);
  return shown < total
    ? hintBox(h("p", {}, `A part of a long document: bytes ${base} to ${base + shown} of ${total}.`))
    : null;
}

function markdownView(view) {
  const marked = markedRange(view);
  return [cutNote(view), h("div", { class: "reading" }, render(parse(view.text.text), { marked, level: 3 }))];
}

/** The text as it is, cut at the beginnings of pages. */
function exactView(view) {
  const { text, base } = view.text;
  const [marked = [0, 0]] = markedRange(view);
  const starts = pageStarts(view.passages);
  const cuts = unitRanges(
    text,
    starts.map(({ at }) => [at, at]),
    base,
  ).map(([at]) => at);
  const bounds = [0, ...cuts, text.length];
  const sections = bounds.slice(0, -1).map((from, index) => {
    const to = bounds[index + 1];
    const own = [Math.max(marked[0], from) - from, Math.min(marked[1], to) - from];
    const page = index === 0 ? null : starts[index - 1].page;
    return (
      to > from &&
      h(
        "section",
        {},
        page && h("h3", { class: "page-label" }, `Page ${page}`),
        h(
          "div",
          { class: isCode(view.found) ? "exact is-code" : "exact" },
          markedText(text.slice(from, to), [own]),
        ),
      )
    );
  });
  return [cutNote(view), sections.filter(Boolean)];
}

function isCode({ kind }) {
  return ["code", "json", "jsonl", "csv", "spreadsheet", "html"].includes(kind);
}

/** Where pages begin, in bytes: `[{ at, page }]`. */
function pageStarts(passages) {
  const starts = [];
  for (const {
    page,
    byte_range: [at],
  } of passages) {
    if (page && page !== starts.at(-1)?.page) starts.push({ at, page });
  }
  return starts;
}

/** The document as its passages: what a reader sees of markup. */
function passageView({ passages, place }) {
  const [from, to] = place.byte_range ?? [0, 0];
  let heading = "";
  return h(
    "div",
    { class: "reading" },
    passages.map((passage) => {
      const path = (passage.heading_path ?? []).join(" › ");
      const title = path !== heading && path !== "" ? h("h3", {}, path) : null;
      heading = path;
      const [start, end] = passage.byte_range;
      const isCited = start < to && from < end;
      return [title, h("p", { class: "as-is" }, isCited ? citedIn(passage.text, place) : passage.text)];
    }),
  );
}

/** A passage with the quote marked, or all of it where the quote is not found as it is. */
function citedIn(text, { quote, quote_text: seen }) {
  const wanted = (seen ?? quote ?? "").trim();
  const at = wanted === "" ? -1 : text.indexOf(wanted);
  return markedText(text, [at < 0 ? [0, text.length] : [at, at + wanted.length]]);
}

/** The pages of a PDF, drawn by the browser from the file itself. */
function pageView({ found, place, collection }) {
  const box = h("div", { class: "pdf" }, loading("Reading the file"));
  showPdf();
  return box;

  async function showPdf() {
    try {
      const response = await send("GET", `/api/v1/documents/${found.id}/original`, { query: { collection } });
      const file = new Blob([await response.arrayBuffer()], { type: "application/pdf" });
      const address = `${URL.createObjectURL(file)}#page=${place.page ?? 1}&view=FitH&navpanes=0`;
      replace(
        box,
        h(
          "a",
          { class: "button button-quiet", href: address, target: "_blank", rel: "noopener" },
          `Open page ${place.page ?? 1} in a new tab`,
        ),
        h("iframe", { class: "pdf-frame", src: address, title: `${found.name}, page ${place.page ?? 1}` }),
      );
    } catch (error) {
      replace(box, failureBox(error, showPdf));
    }
  }
}

function scrollToMark(body) {
  const mark = body.querySelector("mark");
  if (!mark) {
    body.scrollTop = 0;
    return;
  }
  const top = mark.getBoundingClientRect().top - body.getBoundingClientRect().top;
  body.scrollTop += top - body.clientHeight / 3;
}
