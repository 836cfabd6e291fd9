// Starts the page: finds out who asks, waits for the models, and shows the page
// that the address names.

import { ApiError } from "./api.js";
import { h, replace } from "./dom.js";
import { emptyState, failureBox, loading, regions } from "./notice.js";
import { loadCollections, loadMe, state } from "./state.js";
import { route } from "./router.js";
import { listen } from "./shortcuts.js";
import { showLogIn } from "./login.js";
import { Shell } from "./shell.js";
import { closeSource } from "./source.js";
import { askPage } from "./ask.js";
import { documentsPage } from "./documents.js";
import { searchPage } from "./search.js";
import { modelsPage } from "./models.js";
import { monitorPage } from "./monitor.js";
import { keysPage } from "./keys.js";

/** What each name of an address shows: a function from the place to fill and the
 * route to a function that ends it, if it has something to end. */
const PAGES = {
  ask: { title: "Ask", show: askPage },
  documents: { title: "Documents", show: documentsPage },
  search: { title: "Search", show: searchPage },
  models: { title: "Models", show: modelsPage },
  monitor: { title: "Monitor", show: monitorPage },
  keys: { title: "Keys", show: keysPage },
};

const root = h("div", { id: "root" });
document.body.append(root, ...regions());

let shell = null;
let leave = () => {};
let isLoggingIn = false;

async function start() {
  replace(root, h("div", { class: "boot" }, loading("Opening your documents")));
  try {
    await loadMe();
    await loadCollections();
  } catch (error) {
    return stopped(error);
  }
  shell = new Shell();
  replace(root, shell.element);
  return show();
}

/** Shows why the page cannot start, and starts again when it can. */
function stopped(error) {
  if (error.kind === "unauthorized") return logIn();
  if (error.kind === "unavailable") {
    replace(
      root,
      h(
        "div",
        { class: "boot" },
        emptyState(
          "models",
          "The models are being loaded",
          h("p", {}, "This takes some seconds after a start. The page opens by itself."),
          loading("Waiting"),
        ),
      ),
    );
    setTimeout(start, 1000);
    return undefined;
  }
  const shown =
    error instanceof ApiError ? error : new ApiError(0, { kind: "internal", message: String(error.message) });
  return replace(root, h("div", { class: "boot" }, failureBox(shown, start)));
}

function logIn() {
  if (isLoggingIn) return;
  isLoggingIn = true;
  leave();
  leave = () => {};
  shell = null;
  replace(
    root,
    showLogIn(() => {
      isLoggingIn = false;
      start();
    }),
  );
  root.querySelector("input")?.focus();
}

function show() {
  if (!shell) return;
  leave();
  closeSource();
  const asked = route();
  const page = PAGES[asked.name] ?? PAGES.ask;
  document.title = `${page.title} · Plumb`;
  shell.select(PAGES[asked.name] ? asked.name : "ask");
  const place = h("div", { class: `page page-${asked.name}` });
  replace(shell.main, place);
  leave = page.show(place, asked) ?? (() => {});
}

window.addEventListener("hashchange", () => {
  show();
  // Who reads with a screen reader is told where they are.
  if (!document.activeElement?.closest("main")) shell?.main.focus({ preventScroll: true });
});
window.addEventListener("plumb:unauthorized", () => {
  if (state.me !== null) logIn();
});
window.addEventListener("plumb:restart", start);
listen();
start();
