// A project, a server of it, a wire that can be cut, and a browser.

import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(path.join(process.env.BROWSER_TOOLS, "package.json"));
const { chromium } = require("playwright-core");
/** The source of the checks of accessibility. */
export const axe = require("axe-core").source;

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A project with the handbook, in a folder of its own. */
export function makeProject() {
  const folder = mkdtempSync(path.join(tmpdir(), "plumb-browser-"));
  mkdirSync(path.join(folder, "docs"));
  cpSync(path.join(ROOT, "docs/handbook"), path.join(folder, "docs"), { recursive: true });
  const generator = process.env.GENERATOR ? `[models]\ngenerator = "${process.env.GENERATOR}"\n` : "";
  writeFileSync(path.join(folder, "plumb.toml"), `name = "handbook"\n${generator}`);
  const added = spawnSync(process.env.PLUMB, ["--quiet", "add", "docs"], { cwd: folder, encoding: "utf8" });
  if (added.status !== 0) throw new Error(`plumb add: ${added.stderr}`);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Starts `plumb serve`; resolves when it listens. */
export function startServer(folder) {
  const server = spawn(process.env.PLUMB, ["serve", "--json", "--listen", "127.0.0.1:0"], { cwd: folder });
  let [out, log] = ["", ""];
  server.stderr.on("data", (data) => (log += data));
  return new Promise((done, fail) => {
    server.on("exit", (code) => fail(new Error(`plumb serve ended with ${code}: ${log}`)));
    server.stdout.on("data", (data) => {
      out += data;
      const line = out.split("\n").find((text) => text.includes('"url"'));
      if (line) done({ url: JSON.parse(line).url, log: () => log, stop: () => server.kill("SIGTERM") });
    });
  });
}

/** A wire to the server: `cutAfter(text)` cuts the connection that next carries `text`. */
export async function startWire(url) {
  const port = Number(new URL(url).port);
  let mark = null;
  let cuts = 0;
  const wire = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    near.pipe(far);
    far.on("data", (data) => {
      const at = mark === null ? -1 : data.indexOf(mark);
      if (at < 0) return void near.write(data);
      // The event in the middle of which the connection breaks is lost.
      near.write(data.subarray(0, at + mark.length));
      near.destroySoon();
      mark = null;
      cuts += 1;
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise((done) => wire.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${wire.address().port}`,
    cutAfter: (text) => (mark = text),
    cuts: () => cuts,
    stop: () => wire.close(),
  };
}

/** A browser with one page that looks at `url`. */
export async function startBrowser(url) {
  const profile = mkdtempSync(path.join(tmpdir(), "plumb-profile-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    headless: true,
    args: ARGUMENTS,
    baseURL: url,
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(60_000);
  const stop = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, page, stop };
}

/** A PDF of pages of lines of text, as small as one can be. */
export function makePdf(pages) {
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, i) => `${4 + 2 * i} 0 R`).join(" ")}] >>`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
  ];
  pages.forEach((lines, index) => {
    const text = lines.map((line) => `(${line.replace(/[\\()]/g, "\\$&")}) Tj T*`).join("\n");
    const content = `BT /F1 12 Tf 16 TL 72 740 Td\n${text}\nET`;
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * index} 0 R >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    );
  });
  let file = "%PDF-1.4\n";
  const offsets = objects.map((body, index) => {
    const at = file.length;
    file += `${index + 1} 0 obj\n${body}\nendobj\n`;
    return at;
  });
  const rows = offsets.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  const xref = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`;
  file += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(file, "latin1");
}
