// The page's icons: paths on a grid of 24, drawn with a line of 1.75.

import { s } from "./dom.js";

const PATHS = {
  ask: "M4 5h16v11H9l-5 4z",
  documents: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500 20 20",
  models: "M12 3 4 7.500v9L12 21l8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9",
  monitor: "M3 17l5-6 4 4 8-9M3 21h18",
  keys: "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 12.500 20 4M16.500 7.500l2.500 2.500",
  plus: "M12 5v14M5 12h14",
  send: "M5 12h13M12 5l7 7-7 7",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.500l4.500 4.500L19 7.500",
  quote: "M5 17h4l1-4V7H4v6h3zM15 17h4l1-4V7h-6v6h3z",
  loose: "M4 10c3-3 5-3 8 0s5 3 8 0M4 16c3-3 5-3 8 0s5 3 8 0",
  up: "M7 11v9H4v-9zM7 11l4-8c1.600 0 2.500 1 2.500 2.500V9H19l1 1.500-1.500 8L17 20H7",
  down: "M7 13V4H4v9zM7 13l4 8c1.600 0 2.500-1 2.500-2.500V15H19l1-1.500-1.500-8L17 4H7",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  upload: "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
  download: "M12 4v12M7 11l5 5 5-5M4 16v4h16v-4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600 19 19M19 5l-1.400 1.400M6.400 17.600 5 19",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  help: "M9 9a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400M12 17.500v.2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  menu: "M4 7h16M4 12h16M4 17h16",
  warning: "M12 4 2.500 20h19zM12 10v5M12 17.500v.2",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8v.2",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  logout: "M14 4H5v16h9M10 12h10M16 8l4 4-4 4",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
};

/** An icon, which says nothing to a screen reader. */
export function icon(name) {
  return s(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    s("path", { d: PATHS[name] }),
  );
}

/** The mark of the page: a plumb bob on its line. */
export function mark() {
  return s(
    "svg",
    { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    s("path", { class: "mark-line", d: "M16 2v9" }),
    s("path", { class: "mark-body", d: "M9 11h14l-2.200 8.200L16 30l-4.800-10.800z" }),
    s("path", { class: "mark-cap", d: "M9 11h14l-.8 3H9.800z" }),
  );
}
