// The field for a question, with its options and the button to ask or to stop.

import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { remember, remembered } from "./state.js";

const QUOTES = "plumb.quotes-only";

/** The field. `onAsk(question, options)` and `onStop()` are what it does. */
export function composer({ onAsk, onStop }) {
  let isBusy = false;
  const field = h("textarea", {
    class: "composer-field",
    id: "question",
    rows: "1",
    placeholder: "Ask your documents",
    "data-main-field": true,
    "aria-describedby": "composer-hint",
    enterkeyhint: "send",
  });
  const button = h("button", { class: "composer-send", type: "submit" });
  const quotes = h("input", { type: "checkbox", id: "quotes-only", checked: remembered(QUOTES) !== null });
  quotes.addEventListener("change", () => remember(QUOTES, quotes.checked ? "1" : null));
  const where = h("input", {
    class: "input",
    id: "ask-where",
    type: "text",
    placeholder: 'path ~ "guide/" and date >= 2024-01-01',
    spellcheck: "false",
  });
  const form = h(
    "form",
    { class: "composer" },
    h("label", { class: "sr-only", for: "question" }, "Question"),
    field,
    button,
  );
  const element = h(
    "div",
    { class: "composer-place" },
    form,
    h(
      "details",
      { class: "composer-options" },
      h("summary", {}, "Options"),
      h(
        "div",
        { class: "composer-options-body" },
        h(
          "p",
          { class: "check" },
          quotes,
          h("label", { for: "quotes-only" }, "Quotes only: no model words the answer"),
        ),
        h("label", { for: "ask-where" }, "Only documents where"),
        where,
      ),
    ),
    h(
      "p",
      { class: "composer-hint", id: "composer-hint" },
      "Enter asks, Shift and Enter starts a line. Every sentence is checked, but read the source before you rely on it.",
    ),
  );

  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 220)}px`;
  };
  const draw = () => {
    button.setAttribute("aria-label", isBusy ? "Stop the answer" : "Ask");
    button.title = isBusy ? "Stop (Esc)" : "Ask (Enter)";
    button.classList.toggle("is-stop", isBusy);
    button.disabled = !isBusy && field.value.trim() === "";
    replace(button, icon(isBusy ? "stop" : "send"));
  };
  field.addEventListener("input", () => {
    fit();
    draw();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!isBusy) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isBusy) return onStop();
    const question = field.value.trim();
    if (question === "") return undefined;
    field.value = "";
    fit();
    draw();
    return onAsk(question, {
      quote_only: quotes.checked || undefined,
      where: where.value.trim() || undefined,
    });
  });
  draw();
  return {
    element,
    focus: () => field.focus(),
    /** Puts a question into the field, for somebody to change and to send. */
    restore(question) {
      if (field.value !== "") return;
      field.value = question;
      fit();
      draw();
      field.focus();
    },
    setBusy(busy) {
      isBusy = busy;
      draw();
    },
  };
}
