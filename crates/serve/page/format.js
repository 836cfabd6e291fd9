// Numbers, sizes and times as people read them.

/** `1234567` as `1,234,567`. */
export function count(n) {
  return Number(n).toLocaleString("en");
}

/** "1 document", "2 documents". */
export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Bytes in the unit that needs the fewest digits. */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Seconds in the unit that fits. */
export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 100) return `${Math.round(value)} s`;
  if (value >= 1) return `${value.toFixed(value >= 10 ? 1 : 2)} s`;
  if (value >= 0.001) return `${(value * 1000).toFixed(value >= 0.01 ? 0 : 1)} ms`;
  return value === 0 ? "0 ms" : "<1 ms";
}

/** A number on an axis or in a tile. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(0)}k`;
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 1 ? 1 : 2);
}

/** A moment, as near as it matters: a time today, a date else. */
export function moment(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return "–";
  const [then, today] = [new Date(ms), new Date(now)];
  if (then.toDateString() === today.toDateString()) {
    return then.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hour12: false });
  }
  const year = then.getFullYear() === today.getFullYear() ? {} : { year: "numeric" };
  return then.toLocaleDateString("en", { day: "numeric", month: "short", ...year });
}

/** A moment with date and time, for tooltips and logs. */
export function fullMoment(ms) {
  return new Date(ms).toLocaleString("en", { dateStyle: "medium", timeStyle: "short", hour12: false });
}

/** The last part of an address. */
export function fileName(uri) {
  const last = uri.split(/[?#]/)[0].split("/").filter(Boolean).pop() ?? uri;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
