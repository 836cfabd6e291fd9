// Which page an address of the form `#/name/rest?query` stands for.

/** The parts of the address: `{ name, rest, query }`. */
export function route(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/").map(decode);
  return { name: name || "ask", rest, query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page. */
export function hashOf(name, rest = [], query = {}) {
  const path = [name, ...rest].map(encodeURIComponent).join("/");
  const pairs = new URLSearchParams(query).toString();
  return `#/${path}${pairs ? `?${pairs}` : ""}`;
}

/** Goes to a page. */
export function go(name, rest, query) {
  location.hash = hashOf(name, rest, query);
}

/** Changes the address without going anywhere. */
export function note(name, rest, query) {
  history.replaceState(null, "", hashOf(name, rest, query));
}
