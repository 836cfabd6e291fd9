// The buttons with which a reader judges an answer.

import { json } from "./api.js";
import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { toast, toastFailure } from "./notice.js";

/** Buttons for an answer; `feedback` is what the reader said of it before, if anything. */
export function feedbackButtons(answer, feedback) {
  let rating = feedback?.rating ?? null;
  const up = button("up", "This answer is good");
  const down = button("down", "This answer is not good");
  const comment = h("div", { class: "feedback-comment" });

  function button(name, label) {
    return h(
      "button",
      {
        class: "icon-button",
        type: "button",
        "aria-label": label,
        title: label,
        on: { click: () => rate(name) },
      },
      icon(name),
    );
  }

  function draw() {
    up.setAttribute("aria-pressed", String(rating === "up"));
    down.setAttribute("aria-pressed", String(rating === "down"));
    if (rating !== "down") replace(comment);
  }

  async function rate(name) {
    const before = rating;
    rating = rating === name ? null : name;
    draw();
    try {
      if (rating === null) await json("DELETE", `/api/v1/feedback/${answer}`);
      else await json("POST", "/api/v1/feedback", { body: { answer, rating } });
      if (rating === "down") askWhy();
      else if (rating === "up") toast("Thank you.");
    } catch (error) {
      rating = before;
      draw();
      toastFailure(error);
    }
  }

  function askWhy() {
    const why = h("input", { class: "input", id: `why-${answer}`, maxlength: "1000" });
    const form = h(
      "form",
      {},
      h("label", { for: `why-${answer}` }, "What is wrong with it? (you may leave this empty)"),
      h("div", { class: "row" }, why, h("button", { class: "button", type: "submit" }, "Send")),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await json("POST", "/api/v1/feedback", {
          body: { answer, rating: "down", comment: why.value.trim() },
        });
        replace(comment);
        toast("Thank you.");
      } catch (error) {
        toastFailure(error);
      }
    });
    replace(comment, form);
  }

  draw();
  return h("div", { class: "feedback" }, up, down, comment);
}
