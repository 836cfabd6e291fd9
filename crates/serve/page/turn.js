// A question and its answer on the page, while it is written and afterwards.

import { append, h, hidden, replace } from "./dom.js";
import { fileName, plural } from "./format.js";
import { Line, parseInline } from "./inline.js";
import { render } from "./markdown.js";
import { icon } from "./icons.js";
import { copy, failureBox, say } from "./notice.js";
import { SUPPORT, percent, scoreOf, supportOf } from "./support.js";
import { feedbackButtons } from "./feedback.js";
import { trace } from "./trace.js";
import { openSource } from "./source.js";
import { state } from "./state.js";
import { quoted, whereabouts } from "./quote.js";

/** Closest passages that are shown when there is no answer. */
const CLOSEST = 3;

export class Turn {
  #claims = [];
  #dropped = [];
  #passages = [];
  #places = [];
  #snapshot = null;
  #listeners = new Set();
  #status = "asked";

  constructor(question, collection) {
    this.question = question;
    this.collection = collection;
    this.progress = h(
      "p",
      { class: "progress" },
      h("span", { class: "spinner", "aria-hidden": "true" }),
      (this.step = h("span", {}, "Sending the question")),
    );
    this.reworded = h("p", { class: "reworded" });
    this.body = h("div", { class: "answer" });
    this.text = h("p", { class: "claims" });
    this.after = h("div", { class: "after" });
    this.element = h(
      "article",
      { class: "turn", "aria-busy": "true", "aria-label": `Answer to: ${question}` },
      h("h2", { class: "question" }, question),
      this.reworded,
      this.body,
      this.progress,
      this.after,
    );
  }

  /** Calls `run` whenever the answer has grown; returns how to stop. */
  onGrowth(run) {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  /** Takes one event of the stream. */
  apply(event, data) {
    if (event === "search") this.#search(data);
    else if (event === "passages") this.#found(data.passages);
    else if (event === "delta") this.#begin(data);
    else if (event === "citation") this.#cite(data);
    else if (event === "verified") this.#verified(data);
    else if (event === "done") this.finish(data.answer);
    else if (event === "error") this.fail(data.error);
    this.#grown();
  }

  #grown() {
    for (const run of this.#listeners) run();
  }

  #search({ snapshot, standalone_question: reworded }) {
    this.#status = "searching";
    this.#snapshot = snapshot;
    this.#reword(reworded);
    this.#step("Searching the documents");
  }

  #reword(reworded) {
    if (reworded)
      replace(this.reworded, icon("search"), h("span", {}, "Searched for: ", h("q", {}, reworded)));
  }

  #found(passages) {
    this.#passages = passages;
    const documents = new Set(passages.map(({ uri }) => uri)).size;
    this.#step(`Reading ${plural(passages.length, "passage")} of ${plural(documents, "document")}`);
    say(`${plural(passages.length, "passage")} found.`);
  }

  /** A sentence comes: its text, its citations, then how it was checked. */
  #begin({ claim, text }) {
    this.#claims[claim] = {
      text: text.replace(/(?:\s*\[\d+\])+\s*$/, "").trim(),
      citations: [],
      wording: "written",
    };
    this.#step("Checking the next sentence");
  }

  #cite({ claim, ...citation }) {
    this.#claims[claim]?.citations.push(citation);
  }

  #verified({ claim, status, text, wording, reason }) {
    if (status === "dropped") {
      this.#dropped.push({ text, reason });
      return;
    }
    const own = this.#claims[claim];
    Object.assign(own, { text, wording });
    this.#show(own);
    say(own.text);
  }

  #show(claim) {
    if (!this.text.isConnected) replace(this.body, this.text);
    append(this.text, [this.#sentence(claim), " "]);
  }

  #sentence(claim) {
    const kind = supportOf({ wording: claim.wording, score: scoreOf(claim) });
    const { icon: sign, short, text } = SUPPORT[kind];
    return h(
      "span",
      { class: `claim claim-${kind}` },
      h("span", { class: "claim-text" }, render(parseInline(Line.of(claim.text, 0)))),
      h(
        "span",
        { class: "support", title: `${text} Support: ${percent(scoreOf(claim))}` },
        icon(sign),
        hidden(` (${short})`),
      ),
      claim.citations.map((citation) => this.#chip(citation)),
    );
  }

  /** The number of a citation, which opens its source. */
  #chip(citation) {
    const place = this.#place(citation);
    const { title, uri, page } = citation;
    const label = `Source ${citation.number}: ${title || fileName(uri)}${page ? `, page ${page}` : ""}`;
    return h(
      "button",
      {
        class: "chip",
        type: "button",
        "aria-label": label,
        title: label,
        data: { number: citation.number },
        on: { click: (event) => this.#open(place, event.currentTarget) },
      },
      citation.number,
    );
  }

  /** The position of a citation among those of this answer. */
  #place(citation) {
    const known = this.#places.findIndex(({ number }) => number === citation.number);
    if (known >= 0) return known;
    this.#places.push(citation);
    return this.#places.length - 1;
  }

  #open(index, from) {
    openSource({ collection: this.collection, snapshot: this.#snapshot, places: this.#places, index, from });
  }

  /** Shows a whole answer: at the end of a stream, or one of earlier. */
  finish(answer, { feedback = null } = {}) {
    this.#snapshot = answer.snapshot;
    this.#reword(answer.standalone_question);
    this.#dropped = answer.dropped ?? this.#dropped;
    this.answer = answer.answer;
    const isNew = this.#status === "searching";
    this.#status = answer.status;
    this.#settle();
    if (answer.status === "abstained") this.#abstain(answer);
    else this.#redraw(answer);
    append(this.after, [
      this.#droppedBox(),
      this.#foot(answer, feedback),
      trace({ answer, passages: this.#passages, open: (index, from) => this.#openPassage(index, from) }),
    ]);
    if (isNew)
      say(
        answer.status === "abstained"
          ? "The documents do not answer this."
          : `The answer is finished, with ${plural(this.#places.length, "source")}.`,
      );
    this.#grown();
  }

  /** The sentences once more, for the answer is what counts; ids that the stream gave are kept. */
  #redraw(answer) {
    const known = new Map(this.#places.map((place) => [place.number, place.document]));
    this.#places = [];
    replace(this.text);
    for (const claim of answer.claims) {
      const citations = claim.citations.map((c) => ({ ...c, document: known.get(c.number) ?? null }));
      this.#show({ ...claim, citations });
    }
    append(this.after, [this.#sources()]);
  }

  #sources() {
    return h(
      "section",
      { class: "sources", "aria-label": "Sources" },
      h("h3", {}, "Sources"),
      h(
        "ol",
        {},
        this.#places.map((place, index) =>
          h(
            "li",
            {},
            h(
              "button",
              {
                class: "source-card",
                type: "button",
                data: { number: place.number },
                on: { click: (event) => this.#open(index, event.currentTarget) },
              },
              h("span", { class: "source-number", "aria-hidden": "true" }, place.number),
              h(
                "span",
                { class: "source-card-text" },
                h(
                  "span",
                  { class: "source-card-title" },
                  hidden(`Source ${place.number}: `),
                  place.title || fileName(place.uri),
                ),
                h("span", { class: "source-card-path" }, whereabouts(place)),
                h("span", { class: "source-card-quote" }, quoted(place)),
              ),
            ),
          ),
        ),
      ),
    );
  }

  #abstain(answer) {
    const closest = this.#passages.slice(0, CLOSEST);
    replace(
      this.body,
      h(
        "div",
        { class: "abstained" },
        h("p", { class: "abstained-title" }, icon("info"), "The documents do not answer this"),
        h("p", {}, answer.answer),
        closest.length > 0 && [
          h("h3", {}, "What comes closest"),
          h(
            "ul",
            { class: "closest" },
            closest.map((hit, index) =>
              h(
                "li",
                {},
                h(
                  "button",
                  {
                    class: "link-button",
                    type: "button",
                    on: { click: (event) => this.#openPassage(index, event.currentTarget) },
                  },
                  hit.title || hit.name,
                ),
                h("span", { class: "muted" }, whereabouts(hit)),
              ),
            ),
          ),
        ],
        h("p", { class: "muted" }, "Ask in other words, or add a document that says it."),
      ),
    );
  }

  #openPassage(index, from) {
    const places = this.#passages.map((hit, number) => ({
      ...hit,
      number: number + 1,
      quote: hit.text,
      score: null,
    }));
    openSource({ collection: this.collection, snapshot: this.#snapshot, places, index, from });
  }

  #droppedBox() {
    if (this.#dropped.length === 0) return null;
    const one = this.#dropped.length === 1;
    return h(
      "details",
      { class: "dropped" },
      h(
        "summary",
        {},
        `${plural(this.#dropped.length, "sentence")} of the model ${one ? "was" : "were"} left out: no source says ${one ? "it" : "them"}`,
      ),
      h(
        "ul",
        {},
        this.#dropped.map(({ text, reason }) =>
          h("li", {}, h("del", {}, text), h("span", { class: "muted" }, ` ${reason}`)),
        ),
      ),
    );
  }

  #foot(answer, feedback) {
    return h(
      "footer",
      { class: "turn-foot" },
      state.has.feedback && feedbackButtons(answer.answer_id, feedback),
      h(
        "button",
        {
          class: "icon-button",
          type: "button",
          "aria-label": "Copy the answer with its sources",
          title: "Copy with sources",
          on: { click: () => copy(asText(answer), "Answer") },
        },
        icon("copy"),
      ),
      this.#tally(answer),
    );
  }

  /** How many sentences are supported in which way. */
  #tally({ claims }) {
    const kinds = claims.map((claim) => supportOf({ wording: claim.wording, score: scoreOf(claim) }));
    const some = Object.keys(SUPPORT).filter((kind) => kinds.includes(kind));
    return h(
      "ul",
      { class: "tally", "aria-label": "Support of the sentences" },
      some.map((kind) =>
        h(
          "li",
          { class: `tally-${kind}`, title: SUPPORT[kind].text },
          icon(SUPPORT[kind].icon),
          `${kinds.filter((k) => k === kind).length} ${SUPPORT[kind].short}`,
        ),
      ),
    );
  }

  /** Shows an answer of which there is only the text. */
  finishText(text) {
    this.#status = "answered";
    this.#settle();
    replace(this.body, h("p", {}, text));
  }

  /** Shows that there is no answer because something failed. */
  fail(error) {
    this.#status = "failed";
    this.#settle();
    append(this.after, [failureBox(error)]);
    say(`Failed: ${error.message}`);
    this.#grown();
  }

  /** Shows that somebody stopped the answer. */
  stop() {
    this.#status = "stopped";
    this.#settle();
    append(this.after, [
      h("p", { class: "muted stopped" }, icon("stop"), "Stopped. Nothing of this answer is kept."),
    ]);
    this.#grown();
  }

  /** Whether the question can be asked once more. */
  isUnanswered() {
    return this.#status === "failed" || this.#status === "stopped";
  }

  /** Says that the connection was lost, or is there again. */
  setBroken(isBroken) {
    this.element.classList.toggle("is-broken", isBroken);
    this.#step(isBroken ? "The connection was lost: trying to go on where it stopped" : "Going on");
  }

  #step(text) {
    replace(this.step, text);
  }

  #settle() {
    this.progress.remove();
    this.element.classList.remove("is-broken");
    this.element.setAttribute("aria-busy", "false");
  }
}

/** An answer as text, with its sources below. */
function asText({ question, answer, claims }) {
  const all = new Map(claims.flatMap(({ citations }) => citations).map((c) => [c.number, c]));
  const sources = [...all.values()].map(
    (c) =>
      `[${c.number}] ${c.title || fileName(c.uri)}${c.page ? `, p. ${c.page}` : ""}: “${c.quote_text ?? c.quote}” (${c.uri})`,
  );
  return [question, "", answer, "", ...sources].join("\n");
}
