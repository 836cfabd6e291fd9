// What the parts of the page share: who asks, which collections there are, and
// which one is chosen.

import { get } from "./api.js";

const CHOSEN = "plumb.collection";

/** Read this; change it through the functions below. */
export const state = {
  /** Who asks, as `/api/v1/me` says. */
  me: null,
  collections: [],
  /** The chosen collection, or `null` if there is none. */
  collection: null,
  /** What this server's API has, of what the page can use. */
  has: { conversations: false, feedback: false, models: false },
};

const changes = new EventTarget();

/** Calls `run` whenever the collections or the chosen one change; returns how to stop. */
export function onChange(run) {
  changes.addEventListener("change", run);
  return () => changes.removeEventListener("change", run);
}

/** Reads who asks and what there is; fails with 401 if a key is needed. */
export async function loadMe() {
  state.me = await get("/api/v1/me");
  const { paths } = await get("/openapi.json");
  for (const name of Object.keys(state.has)) state.has[name] = `/api/v1/${name}` in paths;
}

/** Reads the collections anew and keeps the chosen one, if it is still there. */
export async function loadCollections() {
  const { collections } = await get("/api/v1/collections");
  const wanted = state.collection?.name ?? remembered(CHOSEN);
  state.collections = collections;
  state.collection = collections.find(({ name }) => name === wanted) ?? collections[0] ?? null;
  changes.dispatchEvent(new Event("change"));
}

/** Chooses a collection by name. */
export function choose(name) {
  const found = state.collections.find((collection) => collection.name === name);
  if (!found || found === state.collection) return;
  state.collection = found;
  remember(CHOSEN, name);
  changes.dispatchEvent(new Event("change"));
}

/** Whether who asks has a role, of `read`, `write` and `admin`. */
export function may(role) {
  const order = ["read", "write", "admin"];
  return order.indexOf(state.me?.role) >= order.indexOf(role);
}

/** What was remembered under a name; `null` if nothing or if storage is forbidden. */
export function remembered(name, storage = "localStorage") {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

/** Remembers `value` under a name; `null` forgets it. */
export function remember(name, value, storage = "localStorage") {
  try {
    if (value === null) window[storage].removeItem(name);
    else window[storage].setItem(name, value);
  } catch {
    // Without storage the page forgets its settings and works on.
  }
}
