// The page with the keys: who may use this server, and what was done.

import { get, json } from "./api.js";
import { h, replace } from "./dom.js";
import { fullMoment, moment, plural } from "./format.js";
import { icon } from "./icons.js";
import {
  confirm,
  copy,
  emptyState,
  failureBox,
  hintBox,
  loading,
  modal,
  toast,
  toastFailure,
} from "./notice.js";
import { loadMe, may, state } from "./state.js";

const ROLES = [
  ["read", "Read: ask, search, read documents"],
  ["write", "Write: also add and remove documents"],
  ["admin", "Admin: also keys, models and the audit log"],
];
const LIMITS = [
  ["requests_per_minute", "Requests a minute"],
  ["tokens_per_day", "Tokens a day"],
];
const ENTRIES = 50;

export function keysPage(place) {
  const list = h("div", {}, loading("Reading the keys"));
  const log = h("div", {});
  const intro = h("div", {});
  const make = h(
    "button",
    { class: "button button-main", type: "button", on: { click: () => askForKey(made) } },
    icon("plus"),
    "Make a key",
  );
  replace(
    place,
    h(
      "header",
      { class: "page-head" },
      h(
        "div",
        {},
        h("h1", {}, "Keys"),
        h("p", { class: "page-facts" }, "Who may use this server, and for what"),
      ),
      may("admin") && make,
    ),
    intro,
    list,
    log,
  );
  if (!may("admin")) {
    replace(
      list,
      emptyState(
        "keys",
        "Only an administrator sees the keys",
        h(
          "p",
          {},
          `You are ${state.me.name}, with the role ${state.me.role}. Log in with a key of the role admin to see them.`,
        ),
      ),
    );
    return undefined;
  }
  if (!state.me.keys_in_use)
    replace(
      intro,
      hintBox(
        h("p", { class: "notice-title" }, "No key is asked for"),
        h(
          "p",
          {},
          "Whoever reaches this address may do everything. As soon as there is one key, everyone needs one, you as well: make one of the role ",
          h("strong", {}, "admin"),
          " first.",
        ),
      ),
    );

  async function read() {
    try {
      drawKeys(await get("/api/v1/keys"));
      drawAudit(await get("/api/v1/audit", { limit: ENTRIES }));
    } catch (error) {
      replace(list, failureBox(error, read));
    }
  }

  function drawKeys(keys) {
    if (keys.length === 0) {
      replace(
        list,
        emptyState(
          "keys",
          "No keys yet",
          h("p", {}, "A key lets a program or a person in, with a role, for some collections, until a day."),
        ),
      );
      return;
    }
    const heads = ["Name", "Role", "Collections", "Limits", "Made", "Ends", ""];
    replace(
      list,
      h(
        "div",
        { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Keys" },
        h(
          "table",
          { class: "table" },
          h("caption", { class: "sr-only" }, "Keys"),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              heads.map((head) =>
                h("th", { scope: "col" }, head || h("span", { class: "sr-only" }, "Actions")),
              ),
            ),
          ),
          h("tbody", {}, keys.map(row)),
        ),
      ),
    );
  }

  function row(key) {
    const isOver = key.revoked_at !== null || (key.expires_at !== null && key.expires_at < Date.now());
    const scope = key.collections === "all" ? "all" : (key.collections.only ?? []).join(", ");
    const limits = Object.entries(key.limits)
      .map(([name, value]) => `${value} ${name.replaceAll("_", " ")}`)
      .join(", ");
    return h(
      "tr",
      { class: isOver ? "is-over" : null },
      h("td", {}, h("strong", {}, key.name), h("span", { class: "block small" }, h("code", {}, key.id))),
      h("td", { "data-label": "Role" }, h("span", { class: "badge badge-none" }, key.role)),
      h("td", { "data-label": "Collections" }, scope),
      h("td", { "data-label": "Limits" }, limits || "–"),
      h("td", { "data-label": "Made", title: fullMoment(key.created_at) }, moment(key.created_at)),
      h(
        "td",
        { "data-label": "Ends" },
        key.revoked_at !== null
          ? h("span", { class: "badge badge-bad" }, "Revoked")
          : key.expires_at === null
            ? "never"
            : moment(key.expires_at),
      ),
      h(
        "td",
        { class: "acts" },
        !isOver &&
          h(
            "button",
            { class: "button button-quiet", type: "button", on: { click: () => revoke(key) } },
            "Revoke",
          ),
      ),
    );
  }

  async function revoke(key) {
    const text = `“${key.name}” lets nobody in any more, from now on and for good. Programs that use it fail.`;
    if (!(await confirm({ title: "Revoke the key?", text, action: "Revoke" }))) return;
    try {
      await json("DELETE", `/api/v1/keys/${key.id}`);
      toast(`${key.name} is revoked.`);
      read();
    } catch (error) {
      toastFailure(error);
    }
  }

  /** The secret is shown once; with the first key, everyone has to log in. */
  function made(key) {
    const dialog = modal(
      `The key ${key.name}`,
      h("p", {}, "Copy it now: it is not shown again."),
      h(
        "div",
        { class: "row" },
        h("input", {
          class: "input mono",
          readonly: true,
          value: key.secret,
          "aria-label": "The key",
          "data-secret": true,
        }),
        h(
          "button",
          { class: "button button-main", type: "button", on: { click: () => copy(key.secret, "Key") } },
          icon("copy"),
          "Copy",
        ),
      ),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", type: "button", on: { click: () => dialog.close() } }, "I have it"),
      ),
    );
    dialog.addEventListener("close", async () => {
      try {
        await loadMe();
        read();
      } catch (error) {
        // The first key was made: from now on this page needs one as well, and asks for it.
        if (error.kind !== "unauthorized") toastFailure(error);
      }
    });
  }

  function drawAudit({ entries, chain, fault }) {
    const state = fault
      ? h("span", { class: "badge badge-bad", title: fault }, "The chain is broken")
      : h(
          "span",
          { class: "badge badge-good", title: chain?.hash },
          `Chain of ${plural(chain?.length ?? 0, "entry", "entries")} holds`,
        );
    replace(
      log,
      h(
        "section",
        { class: "audit" },
        h("h2", {}, "Audit log ", state),
        entries.length === 0
          ? h("p", { class: "muted" }, "Nothing yet. Changes and refusals are noted here, questions are not.")
          : h(
              "div",
              { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Audit log" },
              h(
                "table",
                { class: "table" },
                h("caption", { class: "sr-only" }, "Audit log, newest first"),
                h(
                  "thead",
                  {},
                  h(
                    "tr",
                    {},
                    ["Time", "Who", "What", "Of what", "Outcome"].map((head) =>
                      h("th", { scope: "col" }, head),
                    ),
                  ),
                ),
                h(
                  "tbody",
                  {},
                  entries.map((entry) =>
                    h(
                      "tr",
                      {},
                      h("td", { "data-label": "Time" }, fullMoment(entry.at)),
                      h("td", { "data-label": "Who" }, h("code", {}, entry.actor)),
                      h("td", { "data-label": "What" }, entry.action),
                      h("td", { "data-label": "Of what" }, entry.target || "–"),
                      h("td", { "data-label": "Outcome" }, entry.outcome),
                    ),
                  ),
                ),
              ),
            ),
      ),
    );
  }

  read();
  return undefined;
}

/** The form for a key; `made` gets it. */
function askForKey(made) {
  const field = (id, text, input) => h("div", { class: "field" }, h("label", { for: id }, text), input);
  const name = h("input", {
    class: "input",
    id: "key-name",
    required: true,
    maxlength: "200",
    placeholder: "Who or what it is for",
  });
  const role = h(
    "select",
    { class: "input", id: "key-role" },
    ROLES.map(([value, text]) =>
      h("option", { value, selected: value === (state.me.keys_in_use ? "read" : "admin") }, text),
    ),
  );
  const collections = state.collections.map((collection) =>
    h("input", { type: "checkbox", id: `key-of-${collection.name}`, value: collection.name }),
  );
  const days = h("input", { class: "input", id: "key-days", type: "number", min: "1", placeholder: "never" });
  const limits = LIMITS.map(([id]) =>
    h("input", { class: "input", id, type: "number", min: "1", placeholder: "no limit" }),
  );
  const problem = h("div", {});
  const form = h(
    "form",
    { class: "key-form" },
    field("key-name", "Name", name),
    field("key-role", "Role", role),
    h(
      "fieldset",
      {},
      h("legend", {}, "Collections (none chosen: every one)"),
      collections.map((box) => h("p", { class: "check" }, box, h("label", { for: box.id }, box.value))),
    ),
    h(
      "div",
      { class: "fields" },
      field("key-days", "Ends after days", days),
      LIMITS.map(([id, text], index) => field(id, text, limits[index])),
    ),
    problem,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-main", type: "submit" }, "Make the key"),
    ),
  );
  const dialog = modal("Make a key", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = LIMITS.map(([id], index) => [id, Number(limits[index].value)]).filter(
      ([, value]) => value > 0,
    );
    const body = {
      name: name.value.trim(),
      role: role.value,
      collections: collections.filter((box) => box.checked).map((box) => box.value),
      expires_in_days: Number(days.value) || null,
      limits: Object.fromEntries(chosen),
    };
    try {
      const key = await json("POST", "/api/v1/keys", { body });
      dialog.close();
      made(key);
    } catch (error) {
      replace(problem, failureBox(error));
    }
  });
}
