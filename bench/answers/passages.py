"""Builds collections of passages with questions, from what Debian 12 and Python packages hold.

    python3 bench/answers/passages.py FOLDER

writes below FOLDER, in the form that `plumb-bench steps` reads:

    debian-faq/    the FAQ of Debian (debian-faq): a question to the section under it
    python-faq/    the FAQ of Python (python3.11-doc): the same
    manpages/      the pages of coreutils, util-linux and git-man: the purpose that NAME
                   states to the page

Where a heading or a purpose is the question, it is taken out of the passages, so that
nothing is found by its own words; header is what stands above: the title of the page
and the headings that are no questions (for manual pages, the name and the section).
"""

import gzip
import html
import json
import re
import subprocess
import sys
from pathlib import Path

WORDS = 120
BLOCK = re.compile(r"<(h[1-6]|p|pre|li|dd|dt|td)\b[^>]*>(.*?)</\1>", re.S)
FAQS = {
    "debian-faq": ("debian-faq", "usr/share/doc/debian/FAQ", "*.en.html"),
    "python-faq": ("python3.11-doc", "usr/share/doc/python3.11/html/faq", "*.html"),
}
MANUALS = ["coreutils", "util-linux", "git-man"]


def plain(markup):
    text = html.unescape(re.sub(r"<[^>]*>", " ", markup)).replace("\u00b6", "")
    text = " ".join(text.split())
    return re.sub(r"^(Chapter\s+)?\d+(\.\d+)*\.?\s+", "", text)


def unpacked(package, folder):
    target = folder / "unpacked" / package
    if not target.exists():
        for name in ("packages", "unpacked"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package], cwd=folder / "packages", check=True)
        archive = sorted((folder / "packages").glob(f"{package}_*.deb"))[-1]
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    return target


def pieces(texts):
    """Texts joined to about WORDS words."""
    found, words = [], []
    for text in texts:
        words += text.split()
        if len(words) >= WORDS:
            found.append(" ".join(words))
            words = []
    return found + ([" ".join(words)] if words else [])


def faq(folder, package, place, pattern):
    passages, queries = [], []
    pages = sorted((unpacked(package, folder) / place).glob(pattern))
    for page in (page for page in pages if not page.name.startswith("index")):
        text = page.read_text("utf-8", "replace")
        text = re.sub(r'<div class="(toc|sphinxsidebar|related|navheader|navfooter)".*?</div>', "", text, flags=re.S)
        title, section, texts, sections = "", None, [], []
        for kind, body in BLOCK.findall(text):
            said = plain(body)
            if not said:
                continue
            if kind[0] == "h" and len(kind) == 2:
                if section and texts:
                    sections.append((section, title, texts))
                texts = []
                section = said if said.endswith("?") and len(said.split()) >= 4 else None
                title = title if section else said
            elif section:
                texts.append(said)
        if section and texts:
            sections.append((section, title, texts))
        for question, above, texts in sections:
            unit = f"{page.name}#{len(queries)}"
            for piece in pieces(texts):
                passages.append({"unit": unit, "page": page.name, "header": above, "text": piece})
            queries.append({"text": question, "units": [unit]})
    return passages, queries


def manuals(folder):
    passages, queries = [], []
    for package in MANUALS:
        for page in sorted((unpacked(package, folder) / "usr/share/man").glob("man[18]/*.gz")):
            source = gzip.decompress(page.read_bytes())
            shown = subprocess.run(["man", "--local-file", "-"], input=source, env={"MANWIDTH": "200", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, capture_output=True)
            text = re.sub(".\b", "", shown.stdout.decode("utf-8", "replace"))
            name, purpose, section, texts, parts = page.name.split(".")[0], "", "", [], []
            for line in text.splitlines():
                if re.fullmatch(r"[A-Z][A-Z ,-]+", line):
                    parts.append((section, texts))
                    section, texts = line, []
                elif line.strip():
                    texts.append(line.strip())
            parts.append((section, texts))
            for section, texts in parts:
                if section == "NAME" and " - " in " ".join(texts):
                    purpose = " ".join(texts).split(" - ", 1)[1]
            body = [(section, texts) for section, texts in parts if section in ("DESCRIPTION", "OPTIONS", "EXAMPLES", "NOTES")]
            if len(purpose.split()) < 3 or not body:
                continue
            for section, texts in body:
                for piece in pieces(texts):
                    passages.append({"unit": name, "page": name, "header": f"{name} > {section.capitalize()}", "text": piece.replace(purpose, "")})
            queries.append({"text": purpose, "units": [name]})
    return passages, queries


def write(folder, passages, queries):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("passages", passages), ("queries", queries)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    print(f"{folder.name}: {len(passages)} passages, {len(queries)} queries")


folder = Path(sys.argv[1])
for name, (package, place, pattern) in FAQS.items():
    write(folder / name, *faq(folder, package, place, pattern))
write(folder / "manpages", *manuals(folder))
