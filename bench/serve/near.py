"""How near the embeddings of questions are that ask the same, and that do not.

    python bench/serve/near.py --plumb target/release/plumb [--questions bench/questions.jsonl]

Each question is put in other ways that have the same form for the cache of
`plumb serve` (`near_questions`), and is changed into other questions: another
number, a negation, a name in the place of another, two words exchanged. Prints
the cosines of each kind to the original, as Markdown. The least one of the first
kind bounds the threshold from above; the others show that no threshold could do
without the comparison of words.
"""

import argparse
import json
import random
import re
import subprocess
from pathlib import Path

NAMES = ["Berlin", "Munich", "Alice", "Robert", "Python", "Debian", "Tuesday", "Geneva"]


def same(question, chance):
    """The same question put in other ways."""
    core = question.rstrip("?. ")
    low = core[0].lower() + core[1:]
    yield low
    yield f"Please tell me {low}."
    yield f"Can you tell me {low}? Thanks"
    yield f"I would like to know {low}"
    yield f"Hi, do you know {low}? Thank you!"
    yield re.sub(r"\b(a|an|the) ", "", core, flags=re.I) + "?"
    yield core.upper()[:1] + core[1:].replace(" is ", " ").replace(" are ", " ") + "?"


def other(question, chance):
    """Questions that ask something else, by kind."""
    core, years = question.rstrip("?. "), chance.sample(range(1990, 2026), 2)
    names = chance.sample(NAMES, 2)
    yield "number", f"{core} in {years[0]}?", f"{core} in {years[1]}?"
    yield "name", f"{core} in {names[0]}?", f"{core} in {names[1]}?"
    words = core.split()
    for place, word in enumerate(words):
        if word.lower() in ("is", "are", "do", "does", "can"):
            yield "negation", question, " ".join([*words[:place + 1], "not", *words[place + 1:]]) + "?"
            break
    if len(words) > 5:
        one, two = sorted(chance.sample(range(1, len(words)), 2))
        words[one], words[two] = words[two], words[one]
        yield "order", question, " ".join(words) + "?"


def embedded(plumb, texts):
    done = subprocess.run([plumb, "embed", "--model", "all-minilm-l6-v2", "--query", "--json"],
                          input="\n".join(texts), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plumb", required=True)
    parser.add_argument("--questions", default=Path(__file__).parent.parent / "questions.jsonl")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance, pairs = random.Random(args.seed), []
    for line in Path(args.questions).read_text().splitlines():
        question = json.loads(line)["question"]
        pairs += [("same", question, variant) for variant in same(question, chance)]
        pairs += list(other(question, chance))
    texts = sorted({text for _, *both in pairs for text in both})
    vectors = dict(zip(texts, embedded(args.plumb, texts)))
    cosine = lambda a, b: sum(x * y for x, y in zip(vectors[a], vectors[b]))
    print("| kind | pairs | least cosine | 1st percentile | median | greatest |\n|---|---|---|---|---|---|")
    for kind in ("same", "number", "name", "negation", "order"):
        found = sorted(cosine(a, b) for name, a, b in pairs if name == kind)
        if found:
            shown = [found[0], found[len(found) // 100], found[len(found) // 2], found[-1]]
            print(f"| {kind} | {len(found)} | " + " | ".join(f"{value:.3f}" for value in shown) + " |")


main()
