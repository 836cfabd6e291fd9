// Contrast of text and signs with what they stand on, as WCAG 2.2 counts it:
// 4.5 for text (1.4.3), 3 for the edges of fields and for graphics (1.4.11).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../../../crates/serve/page/tokens.css", import.meta.url), "utf8");
const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);/g)].map(
    ([, name, light, dark]) => [name, { light, dark }],
  ),
);

function luminance(hex) {
  const [r, g, b] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = [
  "ground",
  "surface",
  "raised",
  "sunken",
  "hover",
  "accent-soft",
  "warn-soft",
  "bad-soft",
  "good-soft",
];
const PLAIN = ["ground", "surface", "raised"];
const TEXT = [
  ...["text", "muted"].flatMap((name) => GROUNDS.map((ground) => [name, ground])),
  ...["accent", "good", "warn", "bad"].flatMap((name) =>
    [...PLAIN, "hover", `${name}-soft`].map((ground) => [name, ground]),
  ),
  ["accent", "warn-soft"],
  ["on-accent", "accent"],
  ["on-accent", "accent-hover"],
  ["on-mark", "mark"],
  ["ground", "text"],
];
const SIGNS = [
  ...PLAIN.map((ground) => ["line-strong", ground]),
  ...["series-0", "series-1", "series-2"].map((name) => [name, "surface"]),
];

for (const theme of ["light", "dark"]) {
  for (const [pairs, least, what] of [
    [TEXT, 4.5, "text"],
    [SIGNS, 3, "signs"],
  ]) {
    test(`${what} can be told from the ground in the ${theme} theme`, () => {
      const low = pairs
        .map(([front, back]) => [front, back, contrast(tokens.get(front)[theme], tokens.get(back)[theme])])
        .filter(([, , ratio]) => ratio < least)
        .map(([front, back, ratio]) => `${front} on ${back}: ${ratio.toFixed(2)}`);
      assert.deepEqual(low, []);
    });
  }
}

test("the ratio is that of the standard", () => {
  assert.equal(contrast("#000000", "#ffffff").toFixed(1), "21.0");
  assert.equal(contrast("#767676", "#ffffff").toFixed(2), "4.54");
});
