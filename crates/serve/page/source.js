// The pane beside a page that shows a document, opened at a cited place.

import { address, get } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, fileName } from "./format.js";
import { icon } from "./icons.js";
import { failureBox, loading } from "./notice.js";
import { addShortcuts } from "./shortcuts.js";
import { percent } from "./support.js";
import { documentView } from "./document-view.js";
import { quoted } from "./quote.js";

const pane = h("aside", { class: "source-pane", "aria-label": "Source", hidden: true });

/** What is open: places of one answer or search, and which of them. */
let open = null;
/** Counts openings, so that a slow one does not overwrite a later one. */
let turn = 0;

/** The pane. */
export function sourcePane() {
  return pane;
}

/**
 * Opens the place `places[index]`: a citation, a hit, or `{ document }` alone.
 * `snapshot` is the one whose bytes are meant; `from` gets the focus back.
 */
export function openSource({ collection, snapshot, places, index, from = null }) {
  open = { collection, snapshot, places, index, from: from ?? open?.from ?? null };
  pane.hidden = false;
  document.documentElement.classList.add("has-source");
  show();
}

/** Closes the pane. */
export function closeSource() {
  if (pane.hidden) return;
  pane.hidden = true;
  document.documentElement.classList.remove("has-source");
  replace(pane);
  markNumber(null);
  const from = open?.from;
  open = null;
  turn += 1;
  if (from?.isConnected) from.focus();
}

/** Opens the next place, or the one before with -1; the first one of the last answer if none is open. */
export function openCitation(step) {
  if (open === null) {
    const chips = document.querySelectorAll(".turn:last-child .chip");
    chips[step > 0 ? 0 : chips.length - 1]?.click();
    return;
  }
  const count = open.places.length;
  openSource({ ...open, index: (open.index + step + count) % count });
}

addShortcuts("Source", [
  { keys: "Escape", text: "Close the source", run: closeSource, when: () => !pane.hidden },
]);

async function show() {
  const { collection, snapshot, places, index } = open;
  const place = places[index];
  const own = (turn += 1);
  markNumber(place.number ?? null);
  const title = h(
    "h2",
    { class: "source-title", tabindex: "-1" },
    place.title || place.name || (place.uri ? fileName(place.uri) : "Document"),
  );
  const body = h("div", { class: "source-body" }, loading("Opening the document"));
  const acts = h("div", { class: "source-acts" });
  replace(pane, head(title), quoteCard(place), acts, body);
  title.focus({ preventScroll: true });
  try {
    const found = await resolve(place, collection, snapshot);
    if (own !== turn) return;
    replace(acts, originalLink(found, collection), h("span", { class: "muted small" }, facts(found)));
    await documentView({ body, acts, found, place, collection, snapshot, isCurrent: () => own === turn });
  } catch (error) {
    if (own === turn) replace(body, failureBox(error, show));
  }
}

function head(title) {
  const { places, index } = open;
  const step = (by, name, label) =>
    h(
      "button",
      {
        class: "icon-button",
        type: "button",
        "aria-label": label,
        title: label,
        on: { click: () => openCitation(by) },
      },
      icon(name),
    );
  return h(
    "header",
    { class: "source-head" },
    title,
    places.length > 1 &&
      h(
        "div",
        { class: "source-steps" },
        step(-1, "previous", "The place before ([)"),
        h("span", { class: "muted small" }, `${index + 1} of ${places.length}`),
        step(1, "next", "The next place (])"),
      ),
    h(
      "button",
      {
        class: "icon-button",
        type: "button",
        "aria-label": "Close the source",
        title: "Close (Esc)",
        on: { click: closeSource },
      },
      icon("close"),
    ),
  );
}

/** What is cited, as a reader sees it, and where it stands. */
function quoteCard(place) {
  if (!place.quote) return null;
  const where = [
    (place.heading_path ?? []).join(" › "),
    place.part,
    place.page ? `Page ${place.page}` : null,
  ].filter(Boolean);
  return h(
    "figure",
    { class: "quote-card" },
    h("blockquote", {}, quoted(place)),
    h(
      "figcaption",
      {},
      place.number && h("span", { class: "chip chip-still" }, place.number),
      h("span", {}, where.join(" · ")),
      typeof place.score === "number" && h("span", { class: "muted" }, `Support ${percent(place.score)}`),
    ),
  );
}

/** The document of a place: by its id, or by its address in that snapshot. */
async function resolve(place, collection, snapshot) {
  if (place.document) return get(`/api/v1/documents/${place.document}`, { collection, snapshot });
  const { documents } = await get("/api/v1/documents", { collection, uri: place.uri, snapshot });
  if (documents.length === 0) throw new Error(`the document ${place.uri} is not in this snapshot any more`);
  return get(`/api/v1/documents/${documents[0].id}`, { collection, snapshot });
}

function originalLink({ id, has_original: has, name }, collection) {
  if (!has) return null;
  return h(
    "a",
    {
      class: "button button-quiet",
      href: address(`/api/v1/documents/${id}/original`, { collection }),
      download: name,
    },
    icon("download"),
    "Original",
  );
}

function facts({ kind, bytes: size, pages, state }) {
  const notes = { changed: "the file has changed since", missing: "the file is gone" };
  return [kind, bytes(size), pages && `${pages} pages`, notes[state]].filter(Boolean).join(" · ");
}

/** Marks what points at the open place in the answer. */
function markNumber(number) {
  for (const element of document.querySelectorAll("[data-number].is-open"))
    element.classList.remove("is-open");
  if (number === null) return;
  const scope = open?.from?.closest(".turn, .page") ?? document;
  for (const element of scope.querySelectorAll(`[data-number="${Number(number)}"]`))
    element.classList.add("is-open");
}
