// The list of conversations in the bar at the side.

import { get, json } from "./api.js";
import { h, replace } from "./dom.js";
import { moment } from "./format.js";
import { icon } from "./icons.js";
import { confirm, modal, toastFailure } from "./notice.js";
import { onChange, state } from "./state.js";
import { go, hashOf, route } from "./router.js";

const PAGE = 50;

let conversations = [];
let hasMore = false;
let failed = null;
let isListening = false;
const list = h("div", { class: "conversations-list" });

/** The part of the bar. */
export function conversationList() {
  refreshConversations();
  if (!isListening) {
    window.addEventListener("hashchange", draw);
    onChange(draw);
    isListening = true;
  }
  return h(
    "section",
    { class: "conversations", "aria-labelledby": "conversations-title" },
    h(
      "div",
      { class: "conversations-head" },
      h("h2", { id: "conversations-title" }, "Conversations"),
      h(
        "a",
        {
          class: "icon-button",
          href: hashOf("ask"),
          "aria-label": "New conversation",
          title: "New conversation (n)",
        },
        icon("plus"),
      ),
    ),
    list,
  );
}

/** Reads the list anew. */
export async function refreshConversations() {
  try {
    conversations = (await get("/api/v1/conversations", { limit: PAGE })).conversations;
    hasMore = conversations.length === PAGE;
    failed = null;
  } catch (error) {
    failed = error;
  }
  draw();
}

async function more() {
  try {
    const after = conversations.at(-1)?.id;
    const next = (await get("/api/v1/conversations", { limit: PAGE, after })).conversations;
    conversations = [...conversations, ...next];
    hasMore = next.length === PAGE;
    draw();
  } catch (error) {
    toastFailure(error);
  }
}

function draw() {
  if (failed) {
    replace(list, h("p", { class: "muted small" }, "The conversations cannot be read now."));
    return;
  }
  const own = conversations.filter(({ collection }) => collection === state.collection?.name);
  if (own.length === 0) {
    replace(list, h("p", { class: "muted small" }, "What you ask is kept here."));
    return;
  }
  const { name, rest } = route();
  const current = name === "ask" ? rest[0] : null;
  replace(
    list,
    h(
      "ul",
      {},
      own.map((conversation) => entry(conversation, conversation.id === current)),
    ),
    hasMore &&
      h("button", { class: "button button-quiet", type: "button", on: { click: more } }, "Show more"),
  );
}

function entry(conversation, isCurrent) {
  const title = conversation.title || "New conversation";
  return h(
    "li",
    { class: "conversation" },
    h(
      "a",
      {
        class: "conversation-link",
        href: hashOf("ask", [conversation.id]),
        "aria-current": isCurrent ? "page" : null,
        title,
      },
      h("span", { class: "conversation-title" }, title),
      h("span", { class: "conversation-time" }, moment(conversation.updated_at)),
    ),
    h(
      "span",
      { class: "conversation-acts" },
      h(
        "button",
        {
          class: "icon-button",
          type: "button",
          "aria-label": `Rename “${title}”`,
          title: "Rename",
          on: { click: () => rename(conversation) },
        },
        icon("edit"),
      ),
      h(
        "button",
        {
          class: "icon-button",
          type: "button",
          "aria-label": `Delete “${title}”`,
          title: "Delete",
          on: { click: () => remove(conversation, isCurrent) },
        },
        icon("trash"),
      ),
    ),
  );
}

function rename(conversation) {
  const title = h("input", {
    id: "rename",
    class: "input",
    value: conversation.title,
    maxlength: "200",
    required: true,
  });
  const form = h(
    "form",
    {},
    h("label", { for: "rename" }, "Title"),
    title,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-main", type: "submit" }, "Rename"),
    ),
  );
  const dialog = modal("Rename the conversation", form);
  title.select();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    dialog.close();
    try {
      await json("PATCH", `/api/v1/conversations/${conversation.id}`, {
        body: { title: title.value.trim() },
      });
      await refreshConversations();
    } catch (error) {
      toastFailure(error);
    }
  });
}

async function remove(conversation, isCurrent) {
  const text = `“${conversation.title}” and its ${conversation.messages} messages are deleted for good. The documents stay.`;
  if (!(await confirm({ title: "Delete the conversation?", text, action: "Delete" }))) return;
  try {
    await json("DELETE", `/api/v1/conversations/${conversation.id}`);
    if (isCurrent) go("ask");
    await refreshConversations();
  } catch (error) {
    toastFailure(error);
  }
}
