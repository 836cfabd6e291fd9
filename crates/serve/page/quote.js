// Quotes and passages as a reader sees them, and where they stand.

import { Line, parseInline } from "./inline.js";
import { render } from "./markdown.js";
import { fileName } from "./format.js";

/** What is quoted: without the signs of Markdown where the source is Markdown. */
export function quoted({ quote, quote_text: seen, uri = "" }) {
  if (seen) return seen;
  return /\.(md|markdown|mdx|qmd|rmd)$/i.test(uri) ? render(parseInline(Line.of(quote, 0))) : quote;
}

/** A passage in a list: its headings stand beside it already. */
export function snippet(text) {
  return text.replace(/^ {0,3}#{1,6}[ \t].*$/gm, "").trim() || text;
}

/** Where in a document a place is: headings, part, page; the file where there are none. */
export function whereabouts({ title, heading_path: headings, page, part, uri = "" }) {
  // A page's first heading is its title, which stands beside this.
  const own = headings?.[0] === title ? headings.slice(1) : (headings ?? []);
  const path = own.join(" › ") || fileName(uri);
  return [path, part, page ? `page ${page}` : null].filter(Boolean).join(" · ");
}
