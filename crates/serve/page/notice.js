// What the page says about itself: notices, empty states, passing messages, and
// words for screen readers.

import { append, h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { remedy } from "./api.js";

/** Text with `code` between backticks. */
export function prose(text) {
  return text.split("`").map((part, index) => (index % 2 === 0 ? part : h("code", {}, part)));
}

/** A sentence as people write it, of a message that starts in lower case. */
export function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A box that says what went wrong and what to do; `retry` adds a button. */
export function failureBox(error, retry) {
  return h(
    "div",
    { class: "notice notice-bad", role: "alert" },
    icon("warning"),
    h(
      "div",
      { class: "notice-text" },
      h("p", { class: "notice-title" }, prose(sentence(error.message))),
      h("p", {}, prose(remedy(error))),
      retry && h("button", { class: "button", type: "button", on: { click: retry } }, "Try again"),
    ),
  );
}

/** A box with a hint. */
export function hintBox(...children) {
  return h("div", { class: "notice" }, icon("info"), h("div", { class: "notice-text" }, children));
}

/** What stands where there is nothing yet. */
export function emptyState(iconName, title, ...children) {
  return h(
    "div",
    { class: "empty" },
    h("div", { class: "empty-icon" }, icon(iconName)),
    h("h2", {}, title),
    h("div", { class: "empty-text" }, children),
  );
}

/** What stands where something is being read. */
export function loading(text = "Loading") {
  return h(
    "p",
    { class: "loading", role: "status" },
    h("span", { class: "spinner", "aria-hidden": "true" }),
    text,
  );
}

const live = h("div", { class: "sr-only", "aria-live": "polite", "aria-atomic": "true" });
const toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** The regions that messages appear in; they must be there before a message is. */
export function regions() {
  return [live, toasts];
}

/** Has a screen reader say `text`. */
export function say(text) {
  replace(live, text);
}

/** Shows a message for some seconds. */
export function toast(text) {
  const box = h("div", { class: "toast" }, prose(text));
  append(toasts, [box]);
  setTimeout(() => box.remove(), 5000);
}

/** Shows what went wrong in passing. */
export function toastFailure(error) {
  toast(`${sentence(error.message)} ${remedy(error)}`);
}

/** Asks before something that cannot be undone; resolves to whether to go on. */
export function confirm({ title, text, action }) {
  return new Promise((done) => {
    const close = (agreed) => () => {
      dialog.close();
      done(agreed);
    };
    const dialog = modal(
      title,
      h("p", {}, prose(text)),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", type: "button", on: { click: close(false) } }, "Cancel"),
        h("button", { class: "button button-bad", type: "button", on: { click: close(true) } }, action),
      ),
    );
    dialog.addEventListener("cancel", () => done(false));
  });
}

/** Opens a dialog, which is removed when it closes. */
export function modal(title, ...children) {
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": id }, h("h2", { id }, title), children);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Copies text and says so. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch {
    toast("The browser does not let this page copy: select the text and copy it yourself.");
  }
}
