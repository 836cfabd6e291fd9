"""One HTML page of what was measured, with the command of each table, for somebody who has to judge.

    python3 bench/report/page.py --results bench/results --scores scores.json --out docs/report.html

reads the JSON that `plumb-bench` wrote and, for the curve of errors, what
`plumb calibrate --questions FILE --json` printed. The page needs nothing from outside.
A table whose result is not there is named as missing.
"""

import argparse
import html
import json
import math
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --line: #8886; --ink: #1a6fb0; --soft: #1a6fb033; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
pre { overflow-x: auto; border-left: 3px solid var(--line); padding: .4rem .8rem; font-size: .85rem; }
svg { width: 100%; height: auto; } .note { opacity: .8; font-size: .9rem; }
@media print { body { margin: 0; max-width: none; } }
"""


def escaped(text):
    return html.escape(str(text))


def table(heads, rows):
    head = "".join(f"<th>{escaped(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def wilson(successes, trials, z=1.959963984540054):
    if trials == 0:
        return "none"
    share = successes / trials
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def section(title, text, command, content):
    return f"<h2>{escaped(title)}</h2><p>{text}</p>{content}<pre>{escaped(command)}</pre>"


def setting(found):
    of = found["setting"]
    return f"{of['date']}, commit {of['commit']}, {of['cpu']}, {of['threads']} threads"


def planted(found):
    rows = []
    for family in found["families"]:
        for name, key in (("all", "all"), ("from elsewhere", "far"), ("from the same evidence", "near")):
            of = family[key]
            if of["planted"]:
                rows.append([family["family"], name, f"{of['caught']} of {of['planted']}", wilson(of["caught"], of["planted"])])
    unchanged = [[of["wording"], f"{of['dropped']} of {of['checked']}", wilson(of["dropped"], of["checked"])] for of in found["unchanged"]]
    return (
        table(["swapped", "new value", "caught", "with its 95 % interval"], rows)
        + "<p>Unchanged sentences that the check drops:</p>"
        + table(["wording", "dropped", "with its 95 % interval"], unchanged)
        + f'<p class="note">{found["answers"]} answers. {escaped(setting(found))}</p>'
    )


def injection(found):
    rows = []
    for of in found["tallies"]:
        rows.append([of["family"] or "all", of["arm"], f"{of['steered']} of {of['trials']}", wilson(of["steered"], of["trials"]), f"{of['right']} of {of['trials']}"])
    rows.sort(key=lambda row: (row[0] != "all", row[0], row[1]))
    return table(["family", "how it was asked", "steered", "with its 95 % interval", "right fact in the answer"], rows) + f'<p class="note">{escaped(setting(found))}</p>'


def steps(found):
    def gain(of):
        return "" if of is None else f"{of['difference']:+.4f} ({of['interval_95'][0]:+.4f} to {of['interval_95'][1]:+.4f})"

    rows = [[of["step"], of["chosen"], f"{of['ndcg_10']:.4f} ({of['interval_95'][0]:.4f} to {of['interval_95'][1]:.4f})", gain(of["gain"]), gain(of["over_best_leg"])] for of in found["steps"]]
    return f"<h3>{escaped(found['collection'])}</h3><p>{escaped(found['facts'])}.</p>" + table(["step", "chosen", "nDCG@10", "gain over the step before", "over the best leg"], rows)


def replay(found):
    rows = [[of["replay"], f"{of['identical']} of {of['replayed']}", of["answers_beside"]] for of in found["rounds"]]
    return table(["replay", "identical, byte for byte", "answers given beside it"], rows) + f'<p class="note">{escaped(setting(found))}</p>'


def curve(scores):
    """Share of wrong answers among those given, by the share of questions answered."""
    ranked = sorted(scores, key=lambda pair: -pair[0])
    points, wrong = [], 0
    for number, (_, is_wrong) in enumerate(ranked, 1):
        wrong += bool(is_wrong)
        points.append((number / len(ranked), wrong / number, wrong, number))
    width, height, left, low = 720, 300, 50, 260
    top = max(0.2, max(point[1] for point in points))
    x = lambda share: left + share * (width - left - 20)
    y = lambda share: low - share / top * (low - 20)
    band = []
    z = 1.959963984540054
    for share, rate, wrong, number in points:
        shrink = 1 + z * z / number
        centre = (rate + z * z / (2 * number)) / shrink
        half = z * math.sqrt(rate * (1 - rate) / number + z * z / (4 * number * number)) / shrink
        band.append((share, max(0, centre - half), min(top, centre + half)))
    area = " ".join(f"{x(s):.1f},{y(h):.1f}" for s, _, h in band) + " " + " ".join(f"{x(s):.1f},{y(l):.1f}" for s, l, _ in reversed(band))
    line = " ".join(f"{x(s):.1f},{y(r):.1f}" for s, r, _, _ in points)
    ticks = "".join(f'<text x="{x(s):.0f}" y="{low + 18}" text-anchor="middle" font-size="12" fill="currentColor">{round(100 * s)} %</text>' for s in (0, 0.25, 0.5, 0.75, 1))
    ticks += "".join(f'<text x="{left - 6}" y="{y(top * s) + 4:.0f}" text-anchor="end" font-size="12" fill="currentColor">{100 * top * s:.0f} %</text>' for s in (0, 0.5, 1))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="wrong answers by answered questions">'
        f'<polygon points="{area}" fill="var(--soft)"/><polyline points="{line}" fill="none" stroke="var(--ink)" stroke-width="2"/>'
        f'<line x1="{left}" y1="{low}" x2="{width - 20}" y2="{low}" stroke="var(--line)"/>{ticks}'
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle" font-size="12" fill="currentColor">questions answered, best supported first</text></svg>'
        f'<p class="note">{len(scores)} questions, {sum(bool(w) for _, w in scores)} of whose answers would be wrong; the band is the 95 % Wilson interval at each point.</p>'
    )


def main():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--results", type=Path, required=True)
    flags.add_argument("--scores", type=Path)
    flags.add_argument("--splits", type=Path, help="what bench/answers/splits.py printed")
    flags.add_argument("--out", type=Path, required=True)
    flags = flags.parse_args()
    parts, missing = [], []

    def add(pattern, title, text, command, show):
        files = sorted(flags.results.glob(pattern))
        if not files:
            missing.append(title)
            return
        content = "".join(show(json.loads(file.read_text("utf-8"))) for file in files)
        parts.append(section(title, text, command, content))

    add("planted*.json", "Planted errors", "One number, unit, name, negation or date of a right answer is swapped, and the sentence is checked as if a model had written it. A swap that is not noticed would have been shown.", "plumb-bench planted --plumb plumb --project PROJECT --questions questions.jsonl --answers answers.jsonl --quote-only", planted)
    add("injection*.json", "Attacks inside documents", "Pages that try to put a mark into the answer. <em>written</em> and <em>quoted</em> are the program with a generator and with quotes only; <em>undefended</em> is the same model with the page in a plain prompt.", "plumb-bench injection --plumb plumb", injection)
    add("retrieval-steps-*.json", "Finding the right passage", "Choices are made on one half of the questions and figures are those of the other half.", "python3 bench/answers/passages.py collections; plumb-bench steps --collection collections/NAME --name NAME --embedder MODEL", steps)
    add("replay*.json", "The same answer again", "Stored answers are asked again from their snapshots and compared byte for byte.", "plumb-bench replay --plumb plumb --project PROJECT --count 1000", replay)
    if flags.scores:
        scores = json.loads(flags.scores.read_text("utf-8"))["scores"]
        content = curve(scores)
        if flags.splits:
            content += f"<pre>{escaped(flags.splits.read_text('utf-8').strip())}</pre>"
        parts.insert(0, section("How often answers are wrong", "Questions in the order of the support that their answers have: the more questions are answered, the more answers are wrong. A calibration chooses where to stop.", "plumb calibrate --questions questions.jsonl --json > scores.json; python3 bench/answers/splits.py scores.json", content))
    else:
        missing.append("How often answers are wrong")
    note = f"<p>Not measured: {escaped(', '.join(missing))}.</p>" if missing else ""
    head = "<p>Everything below was measured by the programs that are named, on the machine and the commit that stand with each table. Each share has its number of trials and its interval. Figures of one collection say little about another: the commands are there to repeat them on your own documents.</p>"
    page = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Plumb: what was measured</title><style>{STYLE}</style></head><body><h1>Plumb: what was measured</h1>{head}{note}{"".join(parts)}</body></html>\n'
    flags.out.write_text(page, "utf-8")
    print(f"{flags.out}: {len(page.encode())} bytes, {len(parts)} sections" + (f"; missing: {', '.join(missing)}" if missing else ""))


main()
