// The frame of the page: the bar at the side with pages and conversations, the
// place for a page, and the pane for a source.

import { json } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, plural } from "./format.js";
import { icon, mark } from "./icons.js";
import { toastFailure } from "./notice.js";
import { choose, onChange, state } from "./state.js";
import { go, hashOf } from "./router.js";
import { addShortcuts, showHelp } from "./shortcuts.js";
import { nextTheme, theme } from "./theme.js";
import { conversationList } from "./conversations.js";
import { sourcePane } from "./source.js";

const PAGES = [
  ["ask", "Ask", "a"],
  ["documents", "Documents", "d"],
  ["search", "Search", "s"],
  ["models", "Models", "m"],
  ["monitor", "Monitor", "o"],
  ["keys", "Keys", "k"],
];
const THEMES = {
  auto: ["auto", "Theme: as the system"],
  light: ["sun", "Theme: light"],
  dark: ["moon", "Theme: dark"],
};

let hasShortcuts = false;

/** The frame. `main` is where a page goes. */
export class Shell {
  constructor() {
    this.main = h("main", { id: "main", tabindex: "-1" });
    const pages = PAGES.filter(([name]) => state.has[name] ?? true);
    this.links = new Map(
      pages.map(([name, title, key]) => [
        name,
        h(
          "a",
          {
            class: "nav-link",
            href: hashOf(name),
            "aria-keyshortcuts": `g ${key}`,
          },
          icon(name),
          h("span", {}, title),
        ),
      ]),
    );
    const collection = h("div", { class: "collection" });
    const drawCollection = () => replace(collection, collectionPicker());
    drawCollection();
    onChange(drawCollection);
    this.sidebar = h(
      "div",
      { class: "sidebar", id: "sidebar" },
      h(
        "section",
        { class: "sidebar-head", "aria-label": "Collection" },
        h("a", { class: "brand", href: hashOf("ask") }, mark(), h("span", {}, "Plumb")),
        collection,
      ),
      h("nav", { "aria-label": "Pages" }, [...this.links.values()]),
      state.has.conversations ? conversationList() : h("div", { class: "conversations" }),
      this.#foot(),
    );
    this.menu = h(
      "button",
      {
        class: "icon-button menu-button",
        type: "button",
        "aria-label": "Menu",
        "aria-expanded": "false",
        "aria-controls": "sidebar",
        on: { click: () => this.#toggle() },
      },
      icon("menu"),
    );
    this.title = h("span", { class: "topbar-title" });
    this.veil = h("div", { class: "veil", on: { click: () => this.#toggle(false) } });
    const skip = h(
      "a",
      {
        class: "skip",
        href: "#main",
        on: {
          click: (event) => {
            event.preventDefault();
            this.main.focus();
          },
        },
      },
      "Skip to the content",
    );
    this.element = h(
      "div",
      { class: "app" },
      skip,
      h("header", { class: "topbar" }, this.menu, mark(), this.title),
      this.sidebar,
      this.veil,
      this.main,
      sourcePane(),
    );
    if (!hasShortcuts) addAll();
    hasShortcuts = true;
  }

  /** Marks the page that is shown. */
  select(name) {
    for (const [page, link] of this.links) {
      if (page === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    replace(this.title, PAGES.find(([page]) => page === name)[1]);
    this.#toggle(false);
  }

  /** Opens or closes the bar where it covers the page, on a phone. */
  #toggle(isOpen = !this.element.classList.contains("menu-open")) {
    const wasOpen = this.element.classList.contains("menu-open");
    this.element.classList.toggle("menu-open", isOpen);
    this.menu.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.sidebar.querySelector("a, button, select")?.focus();
    else if (wasOpen) this.menu.focus();
  }

  #foot() {
    const themeButton = h("button", { class: "icon-button", type: "button", data: { act: "theme" } });
    const drawTheme = () => {
      const [name, text] = THEMES[theme()];
      themeButton.setAttribute("aria-label", text);
      themeButton.title = text;
      replace(themeButton, icon(name));
    };
    themeButton.addEventListener("click", () => {
      nextTheme();
      drawTheme();
    });
    drawTheme();
    const help = h(
      "button",
      {
        class: "icon-button",
        type: "button",
        "aria-label": "Keyboard shortcuts",
        title: "Keyboard shortcuts (?)",
        on: { click: showHelp },
      },
      icon("help"),
    );
    const who =
      state.me?.keys_in_use && h("span", { class: "who", title: `Role: ${state.me.role}` }, state.me.name);
    const out =
      state.me?.keys_in_use &&
      h(
        "button",
        {
          class: "icon-button",
          type: "button",
          "aria-label": "Log out",
          title: "Log out",
          on: { click: logOut },
        },
        icon("logout"),
      );
    return h("div", { class: "sidebar-foot" }, themeButton, help, who, out);
  }
}

async function logOut() {
  try {
    await json("DELETE", "/api/v1/session");
    window.dispatchEvent(new Event("plumb:restart"));
  } catch (error) {
    toastFailure(error);
  }
}

/** Which collection is asked, and how much is in it. */
function collectionPicker() {
  const { collection, collections } = state;
  if (!collection) return h("p", { class: "collection-none" }, "No collection");
  const facts = h(
    "p",
    { class: "collection-facts" },
    `${plural(collection.documents, "document")} · ${bytes(collection.bytes)}`,
  );
  if (collections.length === 1) {
    return [h("p", { class: "collection-name" }, collection.name), facts];
  }
  const select = h(
    "select",
    { id: "collection", class: "input" },
    collections.map(({ name }) => h("option", { value: name, selected: name === collection.name }, name)),
  );
  select.addEventListener("change", () => {
    choose(select.value);
    go("ask");
  });
  return [h("label", { class: "sr-only", for: "collection" }, "Collection"), select, facts];
}

function addAll() {
  addShortcuts("Pages", [
    ...PAGES.map(([name, title, key]) => ({ keys: `g ${key}`, text: title, run: () => go(name) })),
    { keys: "n", text: "New conversation", run: () => go("ask") },
    {
      keys: "/",
      text: "Write in the field of this page",
      run: () => document.querySelector("main [data-main-field]")?.focus(),
    },
    { keys: "t", text: "Change the theme", run: () => document.querySelector("[data-act=theme]")?.click() },
    { keys: "?", text: "Show this list", run: showHelp },
  ]);
}
