// The web page in a real browser, against a real server with real models.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { axe, makePdf, makeProject, startBrowser, startServer, startWire } from "./place.mjs";

/** Seconds from the start of the server in which a newcomer has an answer. */
const PROMISED_SECONDS = 60;
const PAGES = ["documents", "search?q=dropout", "models", "monitor", "keys"];

let project, server, wire, browser, page, started;
/** What the page asked for, and what the browser complained of. */
const requests = [];
const complaints = [];

before(async () => {
  project = makeProject();
  started = Date.now();
  server = await startServer(project.folder);
  wire = await startWire(server.url);
  browser = await startBrowser(wire.url);
  ({ page } = browser);
  if (process.env.QUOTES) await page.addInitScript(() => localStorage?.setItem("plumb.quotes-only", "1"));
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(`${error.stack}`));
  page.on("console", (message) => {
    // What a refused or cut request prints is expected where it is tested.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      complaints.push(message.text());
  });
});

after(async () => {
  await browser?.stop();
  wire?.stop();
  server?.stop();
  project?.remove();
});

/** Writes a picture for the guide, where one was asked for. */
async function shoot(name) {
  if (!process.env.SHOTS) return;
  await page.waitForTimeout(300);
  await page.screenshot({ path: path.join(process.env.SHOTS, `${name}.png`) });
}

async function ask(question) {
  await page.fill("#question", question);
  await page.keyboard.press("Enter");
  return page.locator(".turn").last();
}

/** Asks and waits for the end. */
async function answered(question) {
  const turn = await ask(question);
  await turn.locator(".trace").waitFor();
  return turn;
}

async function fresh() {
  await page.goto("/#/ask");
  await page.reload();
  await page.locator(".welcome").waitFor();
}

const marked = (place) =>
  page
    .locator(`${place} mark`)
    .allTextContents()
    .then((parts) => parts.join(""));

test("a newcomer has a cited answer within the promised time from the start", async () => {
  await page.goto("/");
  await page.locator(".starter").first().waitFor();
  await shoot("welcome");
  const turn = await answered("What is dropout, and how does it help in training neural networks?");
  const seconds = (Date.now() - started) / 1000;
  assert.ok(seconds < PROMISED_SECONDS, `${seconds} s`);
  assert.ok((await turn.locator(".claim").count()) >= 1);
  for (const claim of await turn.locator(".claim").all()) {
    assert.ok((await claim.locator(".chip").count()) >= 1, "a sentence without a citation");
    assert.match(await claim.locator(".support").textContent(), /word for word|checked|loosely/);
  }
  assert.ok((await turn.locator(".source-card").count()) >= 1);
  console.log(`    first answer ${seconds.toFixed(1)} s after the start of the server`);
});

test("a citation opens its source, marked at the cited bytes", async () => {
  const turn = page.locator(".turn").last();
  const quote = await turn.locator(".source-card-quote").first().textContent();
  await turn.locator(".chip").first().click();
  await page.locator(".source-pane mark").first().waitFor();
  await shoot("answer");
  const words = (text) => text.replace(/[*_`#>\s-]+/g, " ").trim();
  assert.equal(words(await marked(".reading")), words(quote));
  await page.getByRole("button", { name: "Exact text" }).click();
  const exact = await marked(".exact");
  assert.equal(
    exact,
    await page.evaluate(async () => {
      const { answers } = await (await fetch("/api/v1/answers?limit=1")).json();
      const { answer } = await (await fetch(`/api/v1/answers/${answers[0].id}`)).json();
      return answer.claims[0].citations[0].quote;
    }),
  );
  const box = await page.locator(".exact mark").first().boundingBox();
  assert.ok(box.y > 0 && box.y < 800, "the mark is in sight");
});

test("the keyboard is enough", async () => {
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".source-pane").isHidden(), true);
  assert.equal(
    await page.evaluate(() => document.activeElement.className.includes("chip")),
    true,
    "the focus is back",
  );
  await page.keyboard.press("]");
  await page.locator(".source-pane .source-title").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.className), "source-title");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.locator(".documents").waitFor();
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "containing");
  await page.keyboard.press("Tab");
  await page.locator("h1").first().click();
  await page.keyboard.press("n");
  await page.locator("#question").waitFor();
});

test("what the documents do not say is refused, with what comes closest", async () => {
  await fresh();
  const turn = await answered("How much does the Pinecone standard plan cost per month?");
  assert.equal(await turn.locator(".abstained").count(), 1);
  assert.ok((await turn.locator(".closest li").count()) >= 1);
  await shoot("abstained");
});

test("a follow-up question is asked in the conversation, which is kept", async () => {
  await fresh();
  await answered("What is dropout?");
  await answered("When is it active?");
  await page.reload();
  await page.locator(".turn .trace").nth(1).waitFor();
  assert.equal(await page.locator(".turn").count(), 2);
  assert.ok((await page.locator(".conversation").count()) >= 2);
});

test("feedback is kept, changed and taken back", async () => {
  const turn = page.locator(".turn").first();
  const [up, down] = [
    turn.getByRole("button", { name: "This answer is good" }),
    turn.getByRole("button", { name: "This answer is not good" }),
  ];
  await up.click();
  await page.reload();
  await page.locator(".turn .trace").nth(1).waitFor();
  assert.equal(await up.getAttribute("aria-pressed"), "true");
  await down.click();
  await turn.getByLabel("What is wrong with it").fill("too short");
  await turn.getByRole("button", { name: "Send" }).click();
  await turn.getByLabel("What is wrong with it").waitFor({ state: "detached" });
  assert.equal(await up.getAttribute("aria-pressed"), "false");
  await down.click();
  assert.equal(await down.getAttribute("aria-pressed"), "false");
});

test("an answer goes on after the connection was cut", async () => {
  await fresh();
  const cuts = wire.cuts();
  wire.cutAfter("event: passages");
  const turn = await ask("What is tokenization? Give me a difference between lemmatization and stemming?");
  await turn.locator(".trace").waitFor();
  assert.equal(wire.cuts(), cuts + 1, "the wire was cut");
  assert.ok((await turn.locator(".claim").count()) >= 1);
});

test("an answer goes on after the page was reloaded", async () => {
  await fresh();
  await ask("What is quantization in the context of embeddings?");
  await page.waitForFunction(() => sessionStorage.getItem("plumb.asking") !== null);
  await page.reload();
  await page.locator(".turn .trace").first().waitFor();
  assert.equal(await page.locator(".turn").count(), 1);
  assert.ok((await page.locator(".claim").count()) >= 1);
});

test("an answer can be stopped, and the question is there to be changed", async () => {
  await fresh();
  const question = "What are vector databases, and how do they differ from traditional relational databases?";
  await ask(question);
  await page.locator(".composer-send.is-stop").click();
  await page.locator(".stopped").waitFor();
  assert.equal(await page.inputValue("#question"), question);
  assert.equal(await page.locator(".claim").count(), 0);
});

test("documents are uploaded, read or refused with a reason, asked, and deleted", async () => {
  await page.goto("/#/documents");
  await page.locator(".drop").waitFor();
  const hostile =
    "# Badges\n\nVisitors return their badge at gate seven before noon.\n\n<img src=x onerror=\"document.title='owned'\"> <script>document.title='owned'</script>\n\n![x](https://evil.example/pixel.png)\n";
  await page.setInputFiles("#files", [
    { name: "badges.md", mimeType: "text/markdown", buffer: Buffer.from(hostile) },
    {
      name: "leave.pdf",
      mimeType: "application/pdf",
      buffer: makePdf([
        ["Holidays", "This page says nothing of interest to anybody."],
        ["Leave", "Employees have twenty-nine days of paid leave in every calendar year."],
      ]),
    },
    {
      name: "broken.pdf",
      mimeType: "application/pdf",
      buffer: Buffer.from("%PDF-1.7\nno such thing as a document"),
    },
  ]);
  await page.locator(".job .badge-good").first().waitFor();
  assert.match(await page.locator(".jobs").textContent(), /broken\.pdf/);
  await page.fill("#containing", "badges");
  await page.getByRole("button", { name: "Badges", exact: true }).waitFor();
  await shoot("documents-filtered");

  await fresh();
  const turn = await answered("At which gate do visitors return their badge?");
  assert.match(await turn.locator(".claim").first().textContent(), /gate seven/);
  await turn.locator(".chip").first().click();
  await page.locator(".source-pane mark").first().waitFor();
  assert.match(await page.locator(".reading").textContent(), /<script>/);
  assert.match(await page.title(), /Plumb/);
  await page.keyboard.press("Escape");

  await page.goto("/#/documents");
  await page.fill("#containing", "badges");
  await page.getByRole("button", { name: "Delete Badges" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("No document matches").waitFor();
});

test("a PDF is opened at the cited page", async () => {
  await fresh();
  const turn = await answered("How many days of paid leave do employees have?");
  assert.match(await turn.locator(".claim").first().textContent(), /twenty-nine/);
  await turn.locator(".chip").first().click();
  await page.locator(".source-pane mark").first().waitFor();
  assert.match(await marked(".exact"), /twenty-nine days of paid leave/);
  assert.match(await page.locator(".source-pane").textContent(), /Page 2/);
  await page.getByRole("button", { name: "Pages", exact: true }).click();
  const frame = page.locator(".pdf-frame");
  await frame.waitFor();
  assert.match(await frame.getAttribute("src"), /^blob:.*#page=2&/);
  await page.waitForTimeout(1500);
  await shoot("pdf");
  await page.keyboard.press("Escape");
});

test("search shows the scores of each stage side by side", async () => {
  await page.goto("/#/search?q=how%20does%20dropout%20help");
  await page.locator(".hits").waitFor();
  const heads = await page.locator(".hits th").allTextContents();
  for (const head of ["Meaning", "Words", "Fused"]) assert.ok(heads.includes(head), heads.join());
  assert.ok((await page.locator(".hits tbody tr").count()) >= 5);
  await shoot("search");
  await page.locator(".hits .link-button").first().click();
  await page.locator(".source-pane mark").first().waitFor();
  await page.keyboard.press("Escape");
});

test("models and monitor show what is loaded and what happens", async () => {
  await page.goto("/#/models");
  await page.locator(".model .badge-good").first().waitFor();
  await shoot("models");
  await page.goto("/#/monitor");
  await page.locator(".tile").first().waitFor();
  await page.waitForTimeout(process.env.SHOTS ? 20_000 : 4500);
  assert.ok(Number((await page.locator(".tile-value").first().textContent()).replace(",", "")) > 10);
  assert.ok((await page.locator(".chart .line[d^=M]").count()) >= 3);
  await shoot("monitor");
});

/** What axe finds against WCAG 2.2 AA. */
async function violations() {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() =>
    window.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`),
  );
}

for (const theme of ["light", "dark"]) {
  test(`nothing stands in the way of assistive technology in the ${theme} theme`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    const found = [];
    for (const name of PAGES) {
      await page.goto(`/#/${name}`);
      await page.waitForTimeout(1200);
      found.push(...(await violations()).map((text) => `${name}: ${text}`));
    }
    await fresh();
    found.push(...(await violations()).map((text) => `welcome: ${text}`));
    const turn = await answered("What is dropout?");
    await turn.locator(".trace summary").click();
    await turn.locator(".chip").first().click();
    await page.locator(".source-pane mark").first().waitFor();
    await page.waitForTimeout(400);
    found.push(...(await violations()).map((text) => `answer: ${text}`));
    if (theme === "dark") await shoot("dark");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    found.push(...(await violations()).map((text) => `help: ${text}`));
    await page.keyboard.press("Escape");
    assert.deepEqual(found, []);
  });
}

test("the theme that is chosen outlives a reload", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.querySelector("main")).backgroundColor);
  const light = await ground();
  await page.locator("[data-act=theme]").click();
  await page.locator("[data-act=theme]").click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await page.locator("#question").waitFor();
  assert.equal(await ground(), dark);
  await page.locator("[data-act=theme]").click();
  assert.equal(await ground(), light);
});

test("everything fits a phone", async () => {
  await page.setViewportSize({ width: 375, height: 780 });
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
  for (const name of PAGES) {
    await page.goto(`/#/${name}`);
    await page.waitForTimeout(1000);
    assert.ok(await fits(), name);
  }
  await fresh();
  const turn = await answered("What is dropout?");
  assert.ok(await fits(), "answer");
  await shoot("phone");
  await turn.locator(".chip").first().click();
  await page.locator(".source-pane mark").first().waitFor();
  const box = await page.locator(".source-pane").boundingBox();
  assert.deepEqual([box.x, box.width], [0, 375]);
  assert.ok(await fits(), "source");
  await page.getByRole("button", { name: "Close the source" }).click();
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Documents" }).click();
  await page.locator(".documents").waitFor();
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("keys are made, asked for, and revoked", async () => {
  await page.goto("/#/keys");
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Ada");
  assert.equal(
    await page.getByLabel("Role", { exact: true }).inputValue(),
    "admin",
    "the first key has to be an administrator's",
  );
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = await page.locator("[data-secret]").inputValue();
  assert.match(key, /^plumb_[0-9a-f]{8}_[0-9a-f]{64}$/);
  await page.getByRole("button", { name: "I have it" }).click();
  await page.locator("#login-key").waitFor();
  await page.fill("#login-key", `plumb_00000000_${"0".repeat(64)}`);
  await page.keyboard.press("Enter");
  await page.getByText("The API key is not known").waitFor();
  await page.fill("#login-key", key);
  await page.keyboard.press("Enter");
  await page.locator(".table").first().waitFor();
  assert.match(await page.locator(".table").first().textContent(), /Ada/);
  assert.match(await page.locator(".audit").textContent(), /holds/);
  await shoot("keys");
  const cookies = await browser.context.cookies();
  assert.ok(cookies.every(({ httpOnly, sameSite }) => httpOnly && sameSite === "Strict"));
  await page.getByRole("button", { name: "Log out" }).click();
  await page.locator("#login-key").waitFor();
});

test("the page asked nobody but its own server, and the browser had nothing to complain of", () => {
  // The browser's own view of PDF is made of resources of its own.
  const own = [wire.url, "blob:", "chrome:", "chrome-extension:", "about:blank"];
  const foreign = requests.filter((url) => !own.some((start) => url.startsWith(start)));
  assert.deepEqual(foreign, []);
  assert.deepEqual(complaints, []);
});
