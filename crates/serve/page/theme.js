// Light, dark, or what the system says.

import { remember } from "./state.js";

const ORDER = ["auto", "light", "dark"];

/** The theme that is chosen. */
export function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

/** Chooses the next theme and returns it. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  remember("plumb.theme", next === "auto" ? null : next);
  return next;
}
