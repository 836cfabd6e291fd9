// The page with the documents of a collection: what is there, what could not be
// read, and how more come in.

import { get, json, upload } from "./api.js";
import { append, h, replace } from "./dom.js";
import { bytes, count, fileName, fullMoment, moment, plural } from "./format.js";
import { icon } from "./icons.js";
import { confirm, emptyState, failureBox, loading, prose, say, toast, toastFailure } from "./notice.js";
import { loadCollections, onChange, state } from "./state.js";
import { isRunning, jobCard } from "./jobs.js";
import { openSource } from "./source.js";

const PAGE = 100;
const STATES = {
  changed: ["Changed since", "The file differs from what was indexed: add it again, or run `plumb sync`."],
  missing: ["File is gone", "Answers still cite it as it was. Delete it here, or run `plumb sync`."],
};

export function documentsPage(place) {
  const page = new DocumentsPage(place);
  page.load();
  return () => page.close();
}

class DocumentsPage {
  constructor(place) {
    this.abort = new AbortController();
    this.query = { containing: "", offset: 0 };
    this.head = h("p", { class: "page-facts" });
    this.jobs = h("div", { class: "jobs", "aria-label": "Uploads", role: "region" });
    this.unread = h("div", {});
    this.list = h("div", {});
    this.drop = h("div", {});
    replace(
      place,
      h("header", { class: "page-head" }, h("h1", {}, "Documents"), this.head),
      this.drop,
      this.jobs,
      this.unread,
      this.#filter(),
      this.list,
    );
    this.stopFollowing = onChange(() => this.drawHead());
  }

  close() {
    this.abort.abort();
    this.stopFollowing();
  }

  async load() {
    const { collection } = state;
    if (!collection) {
      replace(
        this.list,
        emptyState(
          "documents",
          "There is no collection",
          h("p", {}, "Start ", h("code", {}, "plumb serve"), " in a project."),
        ),
      );
      return;
    }
    this.drawHead();
    if (collection.can_write) await this.drawDrop();
    this.readJobs();
    await this.read();
  }

  drawHead() {
    const { collection } = state;
    if (!collection) return;
    const kinds = Object.entries(collection.kinds)
      .sort(([, a], [, b]) => b - a)
      .map(([kind, n]) => `${count(n)} ${kind}`);
    replace(
      this.head,
      `${plural(collection.documents, "document")} and ${plural(collection.passages, "passage")} in ${collection.name}`,
      kinds.length > 1 && ` · ${kinds.join(", ")}`,
      ` · index ${bytes(collection.bytes)}`,
    );
  }

  async read() {
    replace(this.list, loading("Reading the list"));
    try {
      const query = { collection: state.collection.name, limit: PAGE, ...this.query };
      const found = await get("/api/v1/documents", query, this.abort.signal);
      if (this.query.offset === 0 && this.query.containing === "") this.drawUnread(found.unread);
      this.drawList(found);
    } catch (error) {
      if (!this.abort.signal.aborted)
        replace(
          this.list,
          failureBox(error, () => this.read()),
        );
    }
  }

  #filter() {
    const field = h("input", {
      class: "input",
      id: "containing",
      type: "search",
      placeholder: "Title or address",
      "data-main-field": true,
    });
    let timer = 0;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.query = { containing: field.value.trim(), offset: 0 };
        this.read();
      }, 200);
    });
    return h(
      "div",
      { class: "filter" },
      h("label", { class: "sr-only", for: "containing" }, "Find a document by title or address"),
      icon("search"),
      field,
    );
  }

  drawList({ documents, total, offset }) {
    if (total === 0) {
      replace(
        this.list,
        this.query.containing
          ? emptyState(
              "search",
              "No document matches",
              h("p", {}, "Look for a part of the title or of the path."),
            )
          : emptyState(
              "documents",
              "No documents yet",
              h(
                "p",
                {},
                "Drop files above, or run ",
                h("code", {}, "plumb add ."),
                " in the folder of your documents.",
              ),
            ),
      );
      return;
    }
    const heads = ["Document", "Kind", "Size", "Passages", "Changed", ""];
    const table = h(
      "table",
      { class: "table documents" },
      h("caption", { class: "sr-only" }, "Documents"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((head) => h("th", { scope: "col" }, head || h("span", { class: "sr-only" }, "Actions"))),
        ),
      ),
      h(
        "tbody",
        {},
        documents.map((document) => this.#row(document)),
      ),
    );
    replace(
      this.list,
      h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Documents" }, table),
      this.#pages(total, offset),
    );
  }

  #row(document) {
    const { title, name, uri, kind, pages, passages, modified_at: modified } = document;
    const notes = STATES[document.state];
    return h(
      "tr",
      {},
      h(
        "td",
        {},
        h(
          "button",
          {
            class: "link-button",
            type: "button",
            title: uri,
            on: { click: (event) => this.#open(document, event.currentTarget) },
          },
          title || name,
        ),
        h("span", { class: "muted small block" }, name),
        notes && h("span", { class: "badge badge-warn", title: notes[1] }, notes[0]),
      ),
      h(
        "td",
        { "data-label": "Kind" },
        kind,
        pages ? h("span", { class: "muted small block" }, plural(pages, "page")) : null,
      ),
      h("td", { class: "number", "data-label": "Size" }, bytes(document.bytes)),
      h("td", { class: "number", "data-label": "Passages" }, count(passages)),
      h("td", { "data-label": "Changed", title: modified ? fullMoment(modified) : null }, moment(modified)),
      h(
        "td",
        { class: "acts" },
        state.collection.can_write &&
          h(
            "button",
            {
              class: "icon-button",
              type: "button",
              "aria-label": `Delete ${title || name}`,
              title: "Delete",
              on: { click: () => this.#remove(document) },
            },
            icon("trash"),
          ),
      ),
    );
  }

  #pages(total, offset) {
    if (total <= PAGE) return null;
    const go = (to) => () => {
      this.query.offset = to;
      this.read();
    };
    return h(
      "div",
      { class: "pages" },
      h(
        "button",
        {
          class: "button",
          type: "button",
          disabled: offset === 0,
          on: { click: go(Math.max(0, offset - PAGE)) },
        },
        "Previous",
      ),
      h(
        "span",
        { class: "muted" },
        `${count(offset + 1)}–${count(Math.min(total, offset + PAGE))} of ${count(total)}`,
      ),
      h(
        "button",
        {
          class: "button",
          type: "button",
          disabled: offset + PAGE >= total,
          on: { click: go(offset + PAGE) },
        },
        "Next",
      ),
    );
  }

  #open(document, from) {
    const places = [{ document: document.id, title: document.title, name: document.name, uri: document.uri }];
    openSource({ collection: state.collection.name, snapshot: null, places, index: 0, from });
  }

  async #remove({ id, uri, title, name, uploaded }) {
    const text = uploaded
      ? `“${title || name}” was uploaded here: the file is deleted as well.`
      : `“${title || name}” leaves the index. The file itself stays where it is.`;
    if (!(await confirm({ title: "Delete the document?", text, action: "Delete" }))) return;
    try {
      await json("DELETE", `/api/v1/documents/${id}`, { query: { collection: state.collection.name, uri } });
      toast(`${name} is deleted.`);
      await this.refresh();
    } catch (error) {
      toastFailure(error);
    }
  }

  async refresh() {
    await loadCollections();
    await this.read();
  }

  /** What could not be read, and why. */
  drawUnread(unread) {
    const entry = ({ uri, name, reason, partial }) =>
      h(
        "li",
        {},
        h(
          "span",
          {},
          h("strong", { title: uri }, name || fileName(uri)),
          " ",
          partial && h("span", { class: "badge badge-warn" }, "in part"),
          " ",
          prose(reason),
        ),
        state.collection.can_write &&
          h(
            "button",
            {
              class: "icon-button",
              type: "button",
              "aria-label": `Take ${name || fileName(uri)} off this list`,
              title: "Take off this list",
              on: { click: () => this.#dismiss(uri) },
            },
            icon("close"),
          ),
      );
    const title = `${plural(unread.length, "file")} could not be read, or only in part`;
    replace(
      this.unread,
      unread.length > 0 &&
        h(
          "details",
          { class: "unread", open: unread.length <= 5 },
          h("summary", {}, icon("warning"), title),
          h("ul", {}, unread.map(entry)),
        ),
    );
  }

  async #dismiss(uri) {
    try {
      await json("DELETE", "/api/v1/unread", { query: { collection: state.collection.name, uri } });
      await this.refresh();
    } catch (error) {
      toastFailure(error);
    }
  }

  async drawDrop() {
    let limits = null;
    try {
      limits = await get("/api/v1/limits");
    } catch {
      // The server refuses what is too much by itself.
    }
    const input = h("input", { type: "file", id: "files", multiple: true, class: "sr-only" });
    const zone = h(
      "label",
      { class: "drop", for: "files" },
      icon("upload"),
      h("span", { class: "drop-title" }, "Drop files here, or choose them"),
      h(
        "span",
        { class: "muted small" },
        `Markdown, text, HTML, PDF, Office, e-books, mail, tables, code${limits ? ` · up to ${bytes(limits.file_bytes)} a file` : ""}`,
      ),
    );
    input.addEventListener("change", () => {
      this.add([...input.files]);
      input.value = "";
    });
    for (const event of ["dragenter", "dragover"]) {
      zone.addEventListener(event, (dragged) => {
        dragged.preventDefault();
        zone.classList.add("is-over");
      });
    }
    for (const event of ["dragleave", "drop"])
      zone.addEventListener(event, () => zone.classList.remove("is-over"));
    zone.addEventListener("drop", (dropped) => {
      dropped.preventDefault();
      this.add([...dropped.dataTransfer.files]);
    });
    replace(this.drop, input, zone);
  }

  async add(files) {
    if (files.length === 0) return;
    const names = files.length === 1 ? files[0].name : plural(files.length, "file");
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Uploading ${names}` });
    const sent = h("span", { class: "muted small" });
    const card = h(
      "div",
      { class: "job" },
      h(
        "div",
        { class: "job-head" },
        h("span", { class: "job-subject" }, names),
        h("span", { class: "badge badge-busy" }, "Uploading"),
      ),
      bar,
      sent,
    );
    this.jobs.prepend(card);
    const onProgress = (done, total) => {
      bar.max = total;
      bar.value = done;
      replace(sent, `${bytes(done)} of ${bytes(total)}`);
    };
    try {
      const query = { collection: state.collection.name };
      const { job, refused } = await upload("/api/v1/documents", query, files, {
        onProgress,
        signal: this.abort.signal,
      });
      card.remove();
      if (refused.length > 0) this.jobs.prepend(refusedBox(refused));
      if (job) this.follow(job);
    } catch (error) {
      if (!this.abort.signal.aborted)
        replace(
          card,
          failureBox(error, () => {
            card.remove();
            this.add(files);
          }),
        );
    }
  }

  follow(job) {
    const onEnd = (ended) => {
      say(`${ended.subject}: ${ended.state}.`);
      this.refresh();
    };
    this.jobs.prepend(jobCard(job, { onEnd, signal: this.abort.signal }));
  }

  /** Uploads that go on from earlier. */
  async readJobs() {
    try {
      const { jobs } = await get("/api/v1/jobs", { limit: 20 }, this.abort.signal);
      const own = jobs.filter(
        (job) => job.kind === "index" && isRunning(job) && job.collection === state.collection.name,
      );
      for (const job of own) this.follow(job);
    } catch {
      // Without the list new uploads are followed all the same.
    }
  }
}

function refusedBox(refused) {
  return append(h("div", { class: "job" }), [
    h(
      "div",
      { class: "job-head" },
      h("span", { class: "job-subject" }, plural(refused.length, "file")),
      h("span", { class: "badge badge-bad" }, "Refused"),
    ),
    h(
      "ul",
      { class: "job-unread" },
      refused.map(({ name, reason }) =>
        h("li", {}, icon("warning"), h("span", {}, h("strong", {}, name), ": ", reason)),
      ),
    ),
  ]);
}
