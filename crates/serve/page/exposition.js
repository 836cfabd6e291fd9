// The text of `/metrics`, and what can be read off two of them.

/** Samples by name: `Map(name -> [{ labels, value }])`. */
export function parseMetrics(text) {
  const all = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = /^([A-Za-z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
    if (!match) continue;
    const [, name, labels, value] = match;
    if (!all.has(name)) all.set(name, []);
    all.get(name).push({ labels: parseLabels(labels ?? ""), value: number(value) });
  }
  return all;
}

function number(text) {
  if (text === "+Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

function parseLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(/([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, sign) => (sign === "n" ? "\n" : sign));
  }
  return labels;
}

/** The sum of the samples of a name that `where` takes; 0 without any. */
export function total(metrics, name, where = () => true) {
  const samples = metrics?.get(name) ?? [];
  return samples.filter(({ labels }) => where(labels)).reduce((sum, { value }) => sum + value, 0);
}

/** How much a counter grew; what a restarted server counts is all of it. */
export function growth(before, after, name, where) {
  const [old, now] = [total(before, name, where), total(after, name, where)];
  return now >= old ? now - old : now;
}

/** Counts by upper bound of what a histogram saw between two samples, summed over labels. */
export function bucketsBetween(before, after, name, where = () => true) {
  const counts = new Map();
  const add = (metrics, by) => {
    for (const { labels, value } of metrics?.get(`${name}_bucket`) ?? []) {
      if (!where(labels)) continue;
      const bound = number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + by * value);
    }
  };
  add(after, 1);
  const isRestart = total(after, `${name}_count`, where) < total(before, `${name}_count`, where);
  if (!isRestart) add(before, -1);
  return [...counts].sort(([a], [b]) => a - b);
}

/**
 * The `q`-quantile of cumulative buckets `[bound, count]`, by straight lines
 * within a bucket, as Prometheus has it; NaN of nothing. What is above the last
 * bound counts as that bound.
 */
export function quantile(q, buckets) {
  const count = buckets.at(-1)?.[1] ?? 0;
  if (count <= 0) return NaN;
  const rank = q * count;
  let [low, below] = [0, 0];
  for (const [bound, cumulative] of buckets) {
    if (cumulative >= rank) {
      if (bound === Infinity) return low;
      const within = cumulative - below;
      return within <= 0 ? bound : low + ((bound - low) * (rank - below)) / within;
    }
    [low, below] = [bound, cumulative];
  }
  return low;
}
