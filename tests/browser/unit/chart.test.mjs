import assert from "node:assert/strict";
import { test } from "node:test";
import "./document.mjs";
import { niceTop, path } from "../../../crates/serve/page/chart.js";

test("an axis ends at a round number that holds every value", () => {
  for (const value of [1e-4, 0.3, 1, 1.01, 7, 10, 123, 4999, 5e9]) {
    const top = niceTop(value);
    assert.ok(top >= value && top <= value * 2.6, `${value}: ${top}`);
  }
  assert.equal(niceTop(0), 1);
  assert.equal(niceTop(NaN), 1);
  assert.equal(niceTop(0.2), 0.2);
});

test("a line is broken where a value is not known", () => {
  const same = (n) => n;
  assert.equal(path([0, 1, 2, 3], [5, NaN, 6, 7], same, same), "M0.0 5.0M2.0 6.0L3.0 7.0");
});
