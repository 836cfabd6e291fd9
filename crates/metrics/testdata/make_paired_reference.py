"""Writes paired_reference.json: sacrebleu's paired tests of two systems.

    pip install sacrebleu==2.6.0
    python make_paired_reference.py

The second system makes a third of the first one's errors good, so that the tests
neither see everything nor nothing.
"""

import json
import pathlib
import random

import text_pairs
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

COUNT = 60
rng = random.Random(5)
rows = list(text_pairs.plain(COUNT, 1, 3))
left, refs = [row[0] for row in rows], [row[1][0] for row in rows]


def repaired(text, ref):
    words, right = text.split(" "), ref.split(" ")
    for at, (word, better) in enumerate(zip(words, right)):
        if word != better and rng.random() < 0.06:
            words[at] = better
        elif rng.random() < 0.02:
            words[at] = "other"
    return " ".join(words)


def number(value):
    return None if value is None else float(value)


right = [repaired(text, ref) for text, ref in zip(left, refs)]
found = {"left": left, "right": right, "refs": refs, "tests": {}}
for name, make in {"bleu": BLEU, "chrf": CHRF, "chrf++": lambda **k: CHRF(word_order=2, **k), "ter": TER}.items():
    for kind in ("bs", "ar"):
        metrics = {name: make(references=[refs])}
        _, scores = PairedTest([("left", left), ("right", right)], metrics, None, kind)()
        results = next(value for key, value in scores.items() if key != "System")
        found["tests"][f"{name} {kind}"] = [
            {key: number(getattr(one, key)) for key in ("score", "mean", "ci", "p_value")} for one in results
        ]
path = pathlib.Path(__file__).with_name("paired_reference.json")
path.write_text(json.dumps(found) + "\n", "utf-8")
for name, results in found["tests"].items():
    print(name, results)
