// Keys that do something anywhere on the page, and the dialog that lists them.

import { h } from "./dom.js";
import { modal } from "./notice.js";
import { remember, remembered } from "./state.js";

const OFF = "plumb.shortcuts-off";

/** Groups of `{ keys, text, run }`; `keys` is one key or two in a row (`g d`). */
const groups = [];
let first = "";
let timer = 0;

/** Adds keys to a group; returns how to take them away. */
export function addShortcuts(title, shortcuts) {
  const group = { title, shortcuts };
  groups.push(group);
  return () => groups.splice(groups.indexOf(group), 1);
}

/** Whether single keys do something; who dictates to the browser turns it off. */
export function areOn() {
  return remembered(OFF) === null;
}

/** Listens for keys. */
export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]") !== null;
    // A dialog closes itself, and what lies below has to wait.
    if (document.querySelector("dialog[open]")) return undefined;
    if (event.key === "Escape") return run("Escape", event);
    if (isTyping || !areOn()) return undefined;
    const both = first === "" ? event.key : `${first} ${event.key}`;
    first = "";
    clearTimeout(timer);
    if (event.key === "g") {
      first = "g";
      timer = setTimeout(() => (first = ""), 1200);
      return undefined;
    }
    return run(both, event);
  });
}

function run(keys, event) {
  for (const { shortcuts } of [...groups].reverse()) {
    const found = shortcuts.find((shortcut) => shortcut.keys === keys && (shortcut.when?.() ?? true));
    if (!found) continue;
    event.preventDefault();
    found.run();
    return;
  }
}

/** Shows what the keys do. */
export function showHelp() {
  const list = groups
    .filter(({ shortcuts }) => shortcuts.length > 0)
    .map(({ title, shortcuts }) => [
      h("h3", {}, title),
      h(
        "dl",
        { class: "keys" },
        shortcuts.map(({ keys, text }) => [
          h(
            "dt",
            {},
            keys.split(" ").map((key) => h("kbd", {}, key === "Escape" ? "Esc" : key)),
          ),
          h("dd", {}, text),
        ]),
      ),
    ]);
  const box = h("input", { type: "checkbox", id: "shortcuts-on", checked: areOn() });
  box.addEventListener("change", () => remember(OFF, box.checked ? null : "1"));
  const dialog = modal(
    "Keyboard",
    h(
      "div",
      { class: "keys-groups" },
      list.map((group) => h("section", {}, group)),
    ),
    h("p", { class: "check" }, box, h("label", { for: "shortcuts-on" }, "Single keys do something")),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button", type: "button", on: { click: () => dialog.close() } }, "Close"),
    ),
  );
}
