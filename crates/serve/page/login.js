// The form to log in with a key, which the server exchanges for a cookie.

import { json } from "./api.js";
import { h, replace } from "./dom.js";
import { mark } from "./icons.js";
import { failureBox } from "./notice.js";

/** The form; `done` is called when somebody is let in. */
export function showLogIn(done) {
  const problem = h("div", {});
  const key = h("input", {
    id: "login-key",
    type: "password",
    class: "input",
    autocomplete: "current-password",
    placeholder: "plumb_…",
    required: true,
    spellcheck: "false",
  });
  const button = h("button", { class: "button button-main", type: "submit" }, "Log in");
  const form = h(
    "form",
    { class: "login" },
    h("div", { class: "login-brand" }, mark(), h("span", {}, "Plumb")),
    h("h1", {}, "Log in with your key"),
    h(
      "p",
      { class: "muted" },
      "This server asks everyone for a key. It stays out of the page: the browser keeps a cookie for twelve hours.",
    ),
    h("label", { for: "login-key" }, "API key"),
    key,
    problem,
    button,
    h(
      "p",
      { class: "muted small" },
      "No key? Whoever runs the server makes one with ",
      h("code", {}, "plumb key create"),
      ".",
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    replace(problem);
    try {
      await json("POST", "/api/v1/session", { body: { key: key.value.trim() } });
      key.value = "";
      done();
    } catch (error) {
      replace(problem, failureBox(error));
      button.disabled = false;
      key.focus();
    }
  });
  return h("main", { class: "boot" }, form);
}
