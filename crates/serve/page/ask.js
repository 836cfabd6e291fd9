// The page where people ask: the questions of a conversation with their
// answers, and the field for the next one.

import { get, json } from "./api.js";
import { append, h, replace } from "./dom.js";
import { plural } from "./format.js";
import { icon } from "./icons.js";
import { emptyState, failureBox, loading, toastFailure } from "./notice.js";
import { may, onChange, state } from "./state.js";
import { hashOf, note } from "./router.js";
import { addShortcuts } from "./shortcuts.js";
import { refreshConversations } from "./conversations.js";
import { composer } from "./composer.js";
import { current, left, startAsking, takeUp } from "./asking.js";
import { Turn } from "./turn.js";
import { openCitation } from "./source.js";

/** Shows the conversation that the address names, or a new one. */
export function askPage(place, { rest }) {
  const page = new AskPage(place, rest[0] ?? null);
  page.open();
  return () => page.close();
}

class AskPage {
  constructor(place, conversation) {
    this.place = place;
    this.conversation = conversation;
    this.collection = null;
    /** What was said, where the server keeps no conversations. */
    this.history = [];
    this.turns = h("div", { class: "turns" });
    this.scroller = h("div", { class: "ask-scroll", tabindex: "-1" }, this.turns);
    for (const event of ["wheel", "touchmove", "pointerdown"]) {
      this.scroller.addEventListener(event, () => (this.isScrolled = true), { passive: true });
    }
    this.composer = composer({
      onAsk: (question, options) => this.ask(question, options),
      onStop: () => current()?.stop(),
    });
    this.stopFollowing = onChange(() => this.drawEmpty());
    this.removeShortcuts = addShortcuts("Conversation", [
      { keys: "]", text: "Open the next citation", run: () => openCitation(1) },
      { keys: "[", text: "Open the citation before", run: () => openCitation(-1) },
      {
        keys: "Escape",
        text: "Close the source, or stop the answer",
        run: () => current()?.stop(),
        when: () => current() !== null,
      },
    ]);
    replace(place, h("h1", { class: "sr-only" }, "Ask your documents"), this.scroller, this.composer.element);
  }

  async open() {
    if (this.conversation) await this.read();
    else this.drawEmpty();
    await this.takeUp();
    if (matchMedia("(hover: hover)").matches) this.composer.focus();
  }

  /** Shows what was said so far. */
  async read() {
    replace(this.turns, loading("Reading the conversation"));
    try {
      const { items, collection } = await get(`/api/v1/conversations/${this.conversation}`);
      this.collection = collection;
      const turns = await Promise.all(pairs(items).map((pair) => readTurn(pair, collection)));
      replace(
        this.turns,
        turns.map((turn) => turn.element),
      );
      this.scrollToEnd();
    } catch (error) {
      replace(
        this.turns,
        failureBox(error, () => this.read()),
      );
    }
  }

  /** Goes on with an answer that is being written: another page was looked at, or this one was reloaded. */
  async takeUp() {
    const leftover = left();
    // A reload may come after the answer: then it is in the conversation already.
    const isKept = leftover?.conversation === this.conversation && leftover.turns < this.count();
    const asking = current() ?? (await takeUp(isKept ? null : leftover));
    if (asking && asking.conversation === this.conversation) this.follow(asking);
  }

  async ask(question, options) {
    if (!state.collection) return;
    try {
      if (!this.conversation) await this.begin();
      const asking = startAsking({
        question,
        options,
        history: this.history,
        conversation: this.conversation,
        collection: this.collection,
        turns: this.count(),
      });
      this.follow(asking);
    } catch (error) {
      append(this.turns, [failureBox(error)]);
      this.composer.restore(question);
    }
  }

  async begin() {
    this.turns.querySelector(".welcome")?.remove();
    this.collection ??= state.collection.name;
    if (!state.has.conversations) return;
    const made = await json("POST", "/api/v1/conversations", { body: { collection: state.collection.name } });
    this.conversation = made.id;
    this.collection = made.collection;
    note("ask", [made.id]);
  }

  async follow(asking) {
    this.composer.setBusy(true);
    append(this.turns, [asking.turn.element]);
    this.isScrolled = false;
    const stop = asking.turn.onGrowth(() => this.scrollTo(asking.turn));
    this.scrollTo(asking.turn);
    await asking.done;
    stop();
    this.composer.setBusy(false);
    if (asking.turn.isUnanswered()) this.composer.restore(asking.turn.question);
    else this.history.push({ question: asking.turn.question, answer: asking.turn.answer });
    if (state.has.conversations) refreshConversations();
  }

  /** Questions on the page. */
  count() {
    return this.turns.querySelectorAll(".turn").length;
  }

  /** Shows as much of an answer as fits below its question, unless somebody scrolls. */
  scrollTo(turn) {
    if (this.isScrolled) return;
    const top = turn.element.getBoundingClientRect().top - this.turns.getBoundingClientRect().top;
    this.scroller.scrollTop = Math.min(top, this.scroller.scrollHeight);
  }

  scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  drawEmpty() {
    if (this.conversation || this.count() > 0 || current()?.conversation === this.conversation) return;
    replace(
      this.turns,
      welcome((question) => this.composer.restore(question)),
    );
  }

  close() {
    this.stopFollowing();
    this.removeShortcuts();
  }
}

/** Messages as `[question, reply]`. */
function pairs(items) {
  const out = [];
  for (const message of items) {
    if (message.role === "user") out.push([message, null]);
    else if (message.role === "assistant" && out.length > 0) out.at(-1)[1] = message;
  }
  return out;
}

async function readTurn([question, reply], collection) {
  const turn = new Turn(question.content, collection);
  if (!reply) return turn;
  try {
    if (reply.answer) {
      const { answer, feedback } = await get(`/api/v1/answers/${reply.answer}`);
      turn.finish(answer, { feedback });
    } else {
      turn.finishText(reply.content);
    }
  } catch {
    // The answer itself is gone; what was said is still in the conversation.
    turn.finishText(reply.content);
  }
  return turn;
}

/** What a newcomer sees. */
function welcome(use) {
  const { collection } = state;
  if (!collection) {
    return h(
      "div",
      { class: "welcome" },
      emptyState(
        "documents",
        "There is no collection yet",
        h(
          "p",
          {},
          "Start ",
          h("code", {}, "plumb serve"),
          " in a folder whose documents were added with ",
          h("code", {}, "plumb add ."),
        ),
        h("p", { class: "muted" }, "If there should be one: your key may not see it."),
      ),
    );
  }
  if (collection.documents === 0) {
    return h(
      "div",
      { class: "welcome" },
      emptyState(
        "documents",
        "Add documents to begin",
        h(
          "p",
          {},
          "Answers come from your documents alone, and ",
          h("strong", {}, collection.name),
          " has none yet.",
        ),
        may("write") && collection.can_write
          ? h(
              "a",
              { class: "button button-main", href: hashOf("documents") },
              icon("upload"),
              "Add documents",
            )
          : h("p", { class: "muted" }, "Your key may only read: ask somebody who may add documents."),
      ),
    );
  }
  const starters = h("ul", { class: "starters", "aria-label": "Documents to start from" });
  suggest(starters, use);
  return h(
    "div",
    { class: "welcome" },
    h("h2", {}, "What would you like to know?"),
    h(
      "p",
      {},
      "Answers come from the ",
      plural(collection.documents, "document"),
      " of ",
      h("strong", {}, collection.name),
      " alone. Each sentence is checked against the place that it cites, and if the documents do not say it, neither does the answer.",
    ),
    starters,
  );
}

/** Titles of some documents, as questions to start from. */
async function suggest(list, use) {
  try {
    const { documents } = await get("/api/v1/documents", { collection: state.collection.name, limit: 60 });
    const titles = [...new Set(documents.map(({ title, name }) => title || name))].filter(
      (title) => title.length < 48,
    );
    const step = Math.max(1, Math.floor(titles.length / 4));
    const some = titles.filter((_, index) => index % step === 0).slice(0, 4);
    replace(
      list,
      some.map((title) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              class: "starter",
              type: "button",
              on: { click: () => use(`What do the documents say about ${lowered(title)}?`) },
            },
            icon("documents"),
            h("span", {}, title),
          ),
        ),
      ),
    );
  } catch (error) {
    toastFailure(error);
  }
}

/** A title within a sentence: "Word embeddings" as "word embeddings", "RAG" as it is. */
function lowered(title) {
  return /^\p{Lu}\p{Ll}/u.test(title) ? title[0].toLowerCase() + title.slice(1) : title;
}
