"""Builds two collections of documents with questions, from packages of Debian 12.

    python3 bench/answers/corpora.py FOLDER [--without-headings]

Downloads `debian-faq` and `python3.11-doc` with `apt-get download` and writes to
FOLDER:

    documents/   pages of both, for `plumb add`
    hidden/      every third page, which is kept out of the index
    questions.jsonl

A question is a heading of a page that ends with a question mark, and its page is
the right one. With `--without-headings` these headings are taken out of the
documents, so that no question is found by its own words. The questions of hidden pages have no
right page: others of the same subject are there, and their support is not.
"""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "debian-faq": ("usr/share/doc/debian/FAQ", "*.en.html"),
    "python3.11-doc": ("usr/share/doc/python3.11/html/faq", "*.html"),
}
HEADING = re.compile(r"<h([1-6])[^>]*>(.*?)</h\1>", re.S)


def plain(markup):
    text = html.unescape(re.sub(r"<[^>]*>", "", markup)).replace("\u00b6", "")
    text = " ".join(text.split())
    text = re.sub(r"^(Chapter\s+)?\d+(\.\d+)*\.?\s+", "", text)
    return text.replace("\u201c", '"').replace("\u201d", '"').replace("\u2019", "'")


def questions_of(text):
    found = []
    for match in HEADING.finditer(text):
        heading = plain(match.group(2))
        if heading.endswith("?") and len(heading.split()) >= 4:
            found.append(heading)
    return found


def without_questions(text):
    def replaced(match):
        return "" if plain(match.group(2)).endswith("?") else match.group(0)

    return HEADING.sub(replaced, text)


def main(folder, keeps_headings):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("documents", "hidden"):
        (folder / name).mkdir(exist_ok=True)
    lines = []
    for package, (place, pattern) in PACKAGES.items():
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        archive = sorted(folder.glob(f"{package}_*.deb"))[-1]
        subprocess.run(["dpkg-deb", "-x", archive, folder / "unpacked"], check=True)
        pages = sorted((folder / "unpacked" / place).glob(pattern))
        pages = [page for page in pages if not page.name.startswith("index")]
        for number, page in enumerate(pages):
            text = page.read_text(encoding="utf-8", errors="replace")
            # The body of the page only: navigation repeats all headings.
            body = re.search(r"<body.*", text, re.S)
            text = re.sub(r'<div class="(toc|sphinxsidebar|related)".*?</div>', "", text, flags=re.S)
            is_hidden = number % 3 == 2
            name = f"{package.split('-')[0].split('3')[0]}-{page.name}"
            target = folder / ("hidden" if is_hidden else "documents") / name
            text = text if keeps_headings else without_questions(text)
            target.write_text(text, encoding="utf-8")
            for heading in questions_of(body.group(0) if body else text):
                pages_of = [] if is_hidden else [name]
                lines.append({"id": f"q{len(lines) + 1}", "question": heading, "pages": pages_of})
    seen = {}
    for line in lines:
        seen.setdefault(line["question"], line)
    with open(folder / "questions.jsonl", "w", encoding="utf-8") as out:
        for line in seen.values():
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    answerable = sum(1 for line in seen.values() if line["pages"])
    print(f"{len(seen)} questions, {answerable} with a page, {len(seen) - answerable} without")


main(Path(sys.argv[1]), "--without-headings" not in sys.argv[2:])
