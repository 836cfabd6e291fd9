import assert from "node:assert/strict";
import { test } from "node:test";
import { holding } from "./document.mjs";
import { parse, plain, render } from "../../../crates/serve/page/markdown.js";

const INLINE = ["text", "break", "em", "strong", "del", "code", "link", "image"];

/** The tree as short text: `paragraph(em(a) b)`. */
function shape(nodes) {
  const all = nodes.map((node) => {
    if (node.type === "text") return node.value;
    const name = node.type === "heading" ? `h${node.level}` : node.type;
    const head = node.head ? `${shape([node.head])}|` : "";
    return node.children ? `${name}(${head}${shape(node.children)})` : name;
  });
  return all.join(nodes.some(({ type }) => INLINE.includes(type)) ? "" : " ");
}

const CASES = [
  ["# One #\n\nTwo\nthree", "h1(One) paragraph(Two three)"],
  ["Title\n===\nText", "h1(Title) paragraph(Text)"],
  ["a *b* **c** ***d*** ~~e~~ `f`", "paragraph(a em(b) strong(c) strong(em(d)) del(e) code(f))"],
  ["snake_case_name and 2 * 3 * 4", "paragraph(snake_case_name and 2 * 3 * 4)"],
  ["**open and `open", "paragraph(**open and `open)"],
  ["\\*no\\* &amp; &#65; &nope;", "paragraph(*no* & A &nope;)"],
  ['[text](http://a.example/x_y "t") ![alt](i.png)', "paragraph(link(text) image(alt))"],
  [
    "- a\n- b\n  - c\n\n1. x\n2. y",
    "list(item(paragraph(a)) item(paragraph(b) list(item(paragraph(c))))) list(item(paragraph(x)) item(paragraph(y)))",
  ],
  ["> quoted\nlazy\n\nafter", "quote(paragraph(quoted lazy)) paragraph(after)"],
  ["```rust\nlet *x*;\n```\nafter", "pre(let *x*;) paragraph(after)"],
  ["```\nnever closed", "pre(never closed)"],
  [
    "| a | b |\n|---|:-:|\n| 1 | `2` |\n\nend",
    "table(row(cell(a) cell(b))|row(cell(1) cell(code(2)))) paragraph(end)",
  ],
  ["---\ntitle: x\n---\n# H", "pre(title: x) h1(H)"],
  ["a\n\n---\n\nb", "paragraph(a) rule paragraph(b)"],
  ["<b>not markup</b>", "paragraph(<b>not markup</b>)"],
];

for (const [source, want] of CASES) {
  test(`${JSON.stringify(source)} is read`, () => assert.equal(shape(parse(source)), want));
}

test("each leaf knows its place in the source", () => {
  const check = (nodes, source) => {
    for (const node of nodes) {
      if (node.type === "text" && node.value.length === node.end - node.at && node.value !== " ") {
        assert.equal(source.slice(node.at, node.end), node.value);
      }
      if (node.head) check(node.head.children, source);
      check(node.children ?? [], source);
    }
  };
  for (const [source] of CASES) check(parse(source), source);
  for (const [source] of CASES)
    check(parse(source.replaceAll("\n", "\r\n")), source.replaceAll("\n", "\r\n"));
});

test("a range of the source is marked across markup, and nothing else is", () => {
  const source = "# Dropout\n\n- It sets **each output** to\n  zero with `p`.\n- Other.\n";
  const [from, to] = [source.indexOf("sets"), source.indexOf(".\n- Other")];
  const element = holding(render(parse(source), { marked: [[from, to]] }));
  const marked = element
    .all("mark")
    .map((mark) => mark.textContent)
    .join("");
  assert.equal(marked, "sets each output to zero with p");
  assert.match(element.textContent, /Dropout.*It sets each output/);
});

test("every range of the source can be marked without changing the text", () => {
  const source = CASES.map(([text]) => text).join("\n\n");
  const whole = holding(render(parse(source))).textContent;
  for (let from = 0; from < source.length; from += 7) {
    const element = holding(render(parse(source), { marked: [[from, from + 40]] }));
    assert.equal(element.textContent, whole, `from ${from}`);
  }
});

test("nothing that is rendered loads or leads anywhere", () => {
  const source = [
    "![x](https://evil.example/a.png)",
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[a](data:text/html,x)",
    "<https://evil.example>",
    "| <a href=x> |\n|---|\n| ![](b) |",
  ].join("\n\n");
  const element = holding(render(parse(source)));
  for (const child of element.all()) {
    assert.ok(!["a", "img", "script", "iframe", "object", "link", "form"].includes(child.tag), child.tag);
    for (const name of Object.keys(child.attributes))
      assert.ok(["class", "tabindex", "start"].includes(name), name);
  }
  assert.ok(element.textContent.includes("<script>alert(1)</script>"));
  assert.ok(element.textContent.includes("(https://evil.example/a.png)"));
});

test("hostile text takes no more than a moment", () => {
  const started = performance.now();
  for (const part of ["*a ", "[", "![a](", "`", "> ", "- ", "| a ", "_a_", "**a*", "&#", "\\", "   1. "]) {
    const text = part.repeat(20_000);
    plain(parse(text));
    plain(parse(`${part.repeat(3000)}\n`.repeat(20)));
  }
  assert.ok(performance.now() - started < 20_000, `${performance.now() - started} ms`);
});
