import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bucketsBetween,
  growth,
  parseMetrics,
  quantile,
  total,
} from "../../../crates/serve/page/exposition.js";

const TEXT = `# HELP c_total Things.
# TYPE c_total counter
c_total{kind="a\\"b\\n",status="200"} 3
c_total{kind="x, y=\\"z\\"",status="404"} 4.5
t_seconds_bucket{le="0.1"} 2
t_seconds_bucket{le="1"} 4
t_seconds_bucket{le="+Inf"} 5
t_seconds_count 5
`;

test("samples are read with their labels", () => {
  const metrics = parseMetrics(TEXT);
  assert.deepEqual(metrics.get("c_total")[0], { labels: { kind: 'a"b\n', status: "200" }, value: 3 });
  assert.equal(total(metrics, "c_total"), 7.5);
  assert.equal(
    total(metrics, "c_total", ({ status }) => status === "404"),
    4.5,
  );
  assert.equal(total(metrics, "absent"), 0);
});

test("growth survives a restart of the server", () => {
  const of = (n) => parseMetrics(`c_total ${n}\n`);
  assert.equal(growth(of(3), of(8), "c_total"), 5);
  assert.equal(growth(of(8), of(2), "c_total"), 2);
});

test("quantiles are those of what came in between", () => {
  const before = parseMetrics(TEXT);
  const after = parseMetrics(
    't_seconds_bucket{le="0.1"} 2\nt_seconds_bucket{le="1"} 14\nt_seconds_bucket{le="+Inf"} 15\nt_seconds_count 15\n',
  );
  const buckets = bucketsBetween(before, after, "t_seconds");
  assert.deepEqual(buckets, [
    [0.1, 0],
    [1, 10],
    [Infinity, 10],
  ]);
  assert.ok(Math.abs(quantile(0.5, buckets) - 0.55) < 1e-12);
  assert.equal(quantile(1, buckets), 1);
});

test("of nothing there is no quantile, and above the last bound it is that bound", () => {
  assert.ok(Number.isNaN(quantile(0.5, [])));
  assert.ok(
    Number.isNaN(
      quantile(0.5, [
        [1, 0],
        [Infinity, 0],
      ]),
    ),
  );
  assert.equal(
    quantile(0.99, [
      [1, 1],
      [Infinity, 100],
    ]),
    1,
  );
});
