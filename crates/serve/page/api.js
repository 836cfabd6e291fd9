// Requests to the server that this page came from, and what to tell people when
// one fails.

/** Why a request was not served. */
export class ApiError extends Error {
  constructor(status, { kind, message, param = null }, retryAfter = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.kind = kind;
    this.param = param;
    this.retryAfter = retryAfter;
  }
}

/** What somebody can do about an error, in one sentence. */
export function remedy(error) {
  if (!(error instanceof ApiError)) return "Reload the page; if it happens again, this page has a fault.";
  const wait = error.retryAfter
    ? `Wait ${error.retryAfter} s and try again.`
    : "Wait a moment and try again.";
  switch (error.kind) {
    case "network":
      return "Check that `plumb serve` is still running, then try again.";
    case "unauthorized":
      return "Log in with a key that is still valid.";
    case "forbidden":
      return "Log in with a key of a higher role, or ask whoever runs this server.";
    case "not_found":
      return "It may have been removed meanwhile: reload the page.";
    case "invalid":
    case "too_long":
      return error.param
        ? `Change \`${error.param}\` and try again.`
        : "Change what was entered and try again.";
    case "conflict":
      return "The state has changed meanwhile: reload the page and look again.";
    case "too_large":
      return "Split the file, or raise the limit in `plumb.toml`.";
    case "media_type":
      return "Use another format: see the list of formats in the handbook.";
    case "deadline":
      return "Ask a shorter question, or try again when the server has less to do.";
    case "upstream":
      return "The server that the model runs on did not answer: check it, then try again.";
    case "busy":
    case "unavailable":
      return wait;
    default:
      return "Look at the server's log, then try again.";
  }
}

/** An address with a query; nullish and empty values are left out. */
export function address(path, query = {}) {
  const pairs = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  const text = new URLSearchParams(pairs).toString();
  return text ? `${path}?${text}` : path;
}

/** Sends a request; fails with an [`ApiError`] unless the status is a success. */
export async function send(method, path, { query, body, headers = {}, signal } = {}) {
  const isForm = body instanceof FormData;
  const all = { accept: "application/json", ...headers };
  if (method !== "GET") all["x-plumb-request"] = "1";
  if (body !== undefined && !isForm) all["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers: all,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw lost();
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/** The failure of a server that cannot be reached. */
export function lost() {
  return new ApiError(0, { kind: "network", message: "the server cannot be reached" });
}

/** The failure that a response tells of. */
export async function failure(response) {
  let error = null;
  try {
    ({ error } = await response.json());
  } catch {
    // Not JSON: something between here and the server has answered.
  }
  if (!error?.message)
    error = { kind: "internal", message: `the server answered with status ${response.status}` };
  const wait = Number(response.headers.get("retry-after"));
  const failed = new ApiError(response.status, error, wait > 0 ? wait : null);
  if (failed.kind === "unauthorized") window.dispatchEvent(new CustomEvent("plumb:unauthorized"));
  return failed;
}

/** Sends a request and reads the JSON of its response; `null` if it has no body. */
export async function json(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

/** Reads JSON from an address. */
export function get(path, query, signal) {
  return json("GET", path, { query, signal });
}

/**
 * Uploads files, telling `onProgress(sent, total)` in bytes. Only the older
 * interface knows how far an upload has come.
 */
export function upload(path, query, files, { onProgress, signal }) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path, query));
    request.setRequestHeader("x-plumb-request", "1");
    request.setRequestHeader("accept", "application/json");
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total));
    request.addEventListener("load", async () => {
      const headers = new Headers();
      const wait = request.getResponseHeader("retry-after");
      if (wait) headers.set("retry-after", wait);
      const response = new Response(request.responseText, { status: request.status, headers });
      if (response.ok) done(await response.json());
      else fail(await failure(response));
    });
    request.addEventListener("error", () => fail(lost()));
    request.addEventListener("abort", () => fail(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
