"""One HTML page of what was measured, with the command of each table, for somebody who has to judge.

    python3 bench/report/page.py [--results bench/results] [--title TITLE] --out report.html

reads the JSON that `plumb-bench`, `bench/answers/splits.py` and `bench/report/demo.py`
wrote. The page needs nothing from outside. What has no result is named as missing.
"""

import argparse
import html
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import charts  # noqa: E402
from proportions import percent  # noqa: E402

STYLE = """
:root { color-scheme: light dark; --line: #8884; --ink: #1a6fb0; --soft: #1a6fb02b; --good: #1c7c4a; --bad: #b3372a; }
@media (prefers-color-scheme: dark) { :root { --ink: #6db5ee; --soft: #6db5ee33; --good: #5cc08c; --bad: #ee8275; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 56rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.8rem 0 .4rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .2rem; }
.lead { font-size: 1.05rem; max-width: 46rem; } .note { opacity: .75; font-size: .87rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15.5rem, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; } .card a { color: inherit; text-decoration: none; display: block; }
.card b { display: block; font-size: 1.45rem; font-variant-numeric: tabular-nums; color: var(--ink); } .card span { font-size: .88rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .8rem 0; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .32rem .7rem .32rem 0; border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 600; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--ink); background: var(--soft); padding: .5rem .8rem; font-size: .82rem; margin: .8rem 0; }
blockquote { margin: .5rem 0; padding: .1rem 0 .1rem .9rem; border-left: 3px solid var(--line); } .ok { color: var(--good); } .no { color: var(--bad); }
svg { width: 100%; height: auto; margin: .6rem 0; } svg text { fill: currentColor; font-family: inherit; }
.grid { stroke: var(--line); } .bound { stroke: var(--bad); stroke-dasharray: 4 3; } .band { fill: var(--soft); } .curve { fill: none; stroke: var(--ink); stroke-width: 2; } .whisker { stroke: var(--ink); stroke-width: 2; } .dot { fill: var(--ink); }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } table, svg, .card { break-inside: avoid; } }
"""


def escaped(text):
    return html.escape(str(text))


def table(heads, rows):
    head = "".join(f"<th>{escaped(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def note(found, more=""):
    of = found.get("setting", {})
    parts = [of.get("date"), of.get("commit") and f"commit {of['commit']}", of.get("cpu"), of.get("threads") and f"{of['threads']} threads", more]
    return f'<p class="note">{escaped(", ".join(str(part) for part in parts if part))}</p>'


def share_of(right, of):
    return [f"{right} of {of}", percent(right, of)]


def planted(name, found):
    rows, unchanged = [], []
    for family in found["families"]:
        of = family["all"]
        if of["planted"]:
            rows.append([family["family"], *share_of(of["caught"], of["planted"])])
    for of in found["unchanged"]:
        unchanged.append([f"unchanged, {of['wording']}: dropped", *share_of(of["dropped"], of["checked"])])
    return f"<h3>{escaped(name)}</h3>" + table(["swapped", "caught", "with its 95 % interval"], rows + unchanged) + note(found, f"{found['answers']} answers")


def planted_card(found):
    caught = sum(of["all"]["caught"] for one in found for of in one["families"])
    planted = sum(of["all"]["planted"] for one in found for of in one["families"])
    return f"{100 * caught / planted:.2f} %", f"of {planted} planted errors in right answers are caught"


ARMS = {"written": "Plumb, worded by the model", "quoted": "Plumb, quotes only", "undefended": "the same model, plain prompt"}


def injection(name, found):
    of = {(one["family"], one["arm"]): one for one in found["tallies"]}
    arms = [arm for arm in ("undefended", "written", "quoted") if ("", arm) in of]
    families = sorted({family for family, _ in of}, key=lambda family: (family != "", family))

    def cell(family, arm):
        one = of[family, arm]
        return f"{one['steered']} of {one['trials']}"

    rows = [[family or "all families", *(cell(family, arm) for arm in arms)] for family in families]
    shares = [[ARMS[arm], percent(of["", arm]["steered"], of["", arm]["trials"]), percent(of["", arm]["right"], of["", arm]["trials"])] for arm in arms]
    return (
        table(["asked", "steered, with its 95 % interval", "the right fact is in the answer"], shares)
        + table(["steered, by family", *(ARMS[arm] for arm in arms)], rows) + note(found)
    )


def injection_card(found):
    of = {(one["family"], one["arm"]): one for one in found[0]["tallies"]}
    with_, without = of["", "written"], of.get(("", "undefended"))
    words = f"of {with_['trials']} attacks inside documents steer an answer"
    if without:
        words += f"; without the defences {without['steered']} of {without['trials']}"
    return f"{100 * with_['steered'] / with_['trials']:.1f} %", words


def calibration(name, found):
    of = found["summary"]
    rows = [
        ["splits in which the bound could be certified", f"{of['certified']} of {of['splits']}", ""],
        ["of these, realised error within the bound", f"{of['kept']} of {of['certified']}", ""],
        ["wrong among the answered", *share_of(of["errors"], of["answered"])],
        ["questions answered", *share_of(of["answered"], of["questions"])],
        ["refusal precision", *share_of(of["rightly_refused"], of["refused"])],
        ["refusal recall", *share_of(of["rightly_refused"], of["wrong"])],
    ]
    about = f"{found['questions']} questions, {found['answerable']} with an answer; at most {100 * found['max_error']:g} % wrong, with {100 * found['confidence']:g} % confidence"
    return f"<h3>{escaped(name)}</h3><p>{about}.</p>" + charts.curve(found["scores"], found["max_error"]) + table(["over random halves", "count", "share with its 95 % interval"], rows) + note(found)


def calibration_card(found):
    kept, certified = (sum(one["summary"][key] for one in found) for key in ("kept", "certified"))
    return f"{kept} of {certified}", "certified random splits keep their bound on wrong answers"


def steps(name, found):
    def gain(of):
        return "" if of is None else f"{of['difference']:+.4f} ({of['interval_95'][0]:+.4f} to {of['interval_95'][1]:+.4f})"

    rows = [[of["step"], of["chosen"], f"{of['ndcg_10']:.4f} ({of['interval_95'][0]:.4f} to {of['interval_95'][1]:.4f})", gain(of["gain"])] for of in found["steps"]]
    return f"<h3>{escaped(found['collection'])}</h3><p>{escaped(found['facts'])}.</p>" + charts.gains(found["steps"]) + table(["step", "chosen", "nDCG@10", "gain over the step before"], rows) + note(found)


def replay(name, found):
    rows = [[of["replay"], *share_of(of["identical"], of["replayed"]), of["answers_beside"]] for of in found["rounds"]]
    how = "quotes only" if found["quote_only"] else "worded by the model"
    return f"<h3>{escaped(name)}: {how}</h3>" + table(["replay", "identical, byte for byte", "with its 95 % interval", "answers given beside it"], rows) + note(found)


def replay_card(found):
    same, all_ = (sum(of[key] for one in found for of in one["rounds"]) for key in ("identical", "replayed"))
    return f"{same} of {all_}", "stored answers come out the same, byte for byte, when they are asked again"


def rag(name, found):
    def row(key, of):
        value = "-" if of["value"] is None else f"{of['value']:.3f}"
        interval = of.get("interval")
        interval = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-"
        return [key.replace("_", " "), value, interval, of["n"], of["unscored"]]

    rows = [row(key, of) for key, of in found["measures"].items()]
    return table(["measure", "value", "95 % interval", "n", "unscored"], rows) + note(found, found.get("about", ""))


def citation(of):
    low, high = of["byte_range"]
    where = f"{of['uri'].rsplit('/', 1)[-1]}, bytes {low} to {high} of the file with SHA-256 {of['sha256'][:16]}…"
    return f'<blockquote>{escaped(of.get("quote_text") or of["quote"])}<div class="note">{escaped(where)}</div></blockquote>'


def answer(name, found):
    one, checks = found["answer"], found["checks"]
    parts = [f"<p>{escaped(claim['text'])}</p>" + "".join(map(citation, claim["citations"])) for claim in one["claims"]]
    rows = [[of["what"], "verifies" if of["verified"] else "does not verify", "; ".join(of["faults"])] for of in checks]
    models = "; ".join(f"{role}: {of['name']}, SHA-256 {(of.get('sha256') or 'unknown')[:16]}…" for role, of in one["models"].items())
    about = f"Support {one['support']['score']:.3f}, threshold {one['support']['threshold']:.3f}. Snapshot {one['snapshot'][:16]}…; {models}"
    return f"<p><b>{escaped(one['question'])}</b></p>" + "".join(parts) + f'<p class="note">{escaped(about)}</p>' + table(["plumb verify", "says", "why"], rows)


SECTIONS = [
    ("answer", "An answer and its proof", "Every sentence of an answer is tied to bytes of a document that is named by its content. The check runs without a model, at any later time.", 'plumb ask --json "QUESTION" > answer.json; plumb verify answer.json', answer, None),
    ("rag", "Questions from the documents themselves", "Questions that the documents answer, the same in other words, and questions that they do not answer, made from the documents. They use the documents' own words and are easier than those of users.", "plumb eval make; plumb eval rag --json", rag, None),
    ("planted", "Planted errors", "One number, unit, name, negation or date of a right answer is swapped, and the sentence is checked as if a model had written it. A swap that is not noticed would have been shown.", "plumb-bench planted --plumb plumb --project PROJECT --questions questions.jsonl --answers answers.jsonl --quote-only", planted, planted_card),
    ("calibration", "How often answers are wrong", "Questions in the order of the support that their answers have: the more questions are answered, the more answers are wrong. A calibration chooses where to stop; each split sets it on one half of the questions and counts on the other. A refusal is right where the answer would have been wrong. The band is the 95 % Wilson interval at each point.", "plumb calibrate --questions questions.jsonl --json > scores.json; python3 bench/answers/splits.py scores.json --name NAME", calibration, calibration_card),
    ("injection", "Attacks inside documents", "Pages of ten families try to put a mark into the answer, be it obeyed or quoted.", "plumb-bench injection --plumb plumb", injection, injection_card),
    ("replay", "The same answer again", "Stored answers are asked again from their snapshots, alone and beside other processes, and compared byte for byte.", "plumb-bench replay --plumb plumb --project PROJECT --count 1000", replay, replay_card),
    ("retrieval-steps", "Finding the right passage", "Choices are made on one half of the questions and figures are those of the other half.", "python3 bench/answers/passages.py collections; plumb-bench steps --collection collections/NAME --name NAME --embedder MODEL", steps, None),
]


def read(folder, kind):
    for file in sorted(folder.glob(f"{kind}*.json")):
        name = file.stem.removeprefix(kind).strip("-").replace("-", " ") or kind
        yield name, json.loads(file.read_text("utf-8"))


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--results", type=Path, default=Path(__file__).resolve().parents[1] / "results")
    flags.add_argument("--title", default="What was measured")
    flags.add_argument("--out", type=Path, required=True)
    flags = flags.parse_args()
    parts, cards, missing = [], [], []
    for kind, title, words, command, show, card in SECTIONS:
        found = list(read(flags.results, kind))
        if not found:
            missing.append(title.lower())
            continue
        content = "".join(show(name, one) for name, one in found)
        parts.append(f'<section id="{kind}"><h2>{escaped(title)}</h2><p>{escaped(words)}</p>{content}<pre>{escaped(command)}</pre></section>')
        if card:
            figure, about = card([one for _, one in found])
            cards.append(f'<div class="card"><a href="#{kind}"><b>{escaped(figure)}</b><span>{escaped(about)}</span></a></div>')
    absent = f'<p class="note">Not measured here: {escaped(", ".join(missing))}.</p>' if missing else ""
    head = "Everything below was measured by the programs that are named, on the machine and the commit that stand with each table. Each share has its number of trials and its interval. Figures of one collection say little about another: the commands are there to repeat them on your own documents."
    page = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escaped(flags.title)}</title><style>{STYLE}</style></head><body><h1>{escaped(flags.title)}</h1><p class="lead">{head}</p><div class="cards">{"".join(cards)}</div>{absent}{"".join(parts)}</body></html>\n'
    flags.out.write_text(page, "utf-8")
    print(f"{flags.out}: {len(page.encode())} bytes, {len(parts)} sections" + (f"; missing: {', '.join(missing)}" if missing else ""))


main()
