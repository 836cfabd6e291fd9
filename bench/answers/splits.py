"""Is the bound of a calibration kept on questions that it has not seen?

    plumb calibrate --questions FILE --json > scores.json
    python3 bench/answers/splits.py scores.json [--max-error 0.1] [--confidence 0.95] [--splits 20]
        [--questions FILE] [--name NAME --out bench/results]

Reads the score of every question and whether its answer would be wrong, divides
the questions at random into halves, sets the threshold on one half by the method
of `plumb calibrate` (a third chooses the order of thresholds, the rest tests them
by the binomial tail), and counts on the other half: how many answers are wrong,
how many questions are answered, and how well refusals hit the wrong ones. With the
list of questions that were asked it also counts refusals of those that no page
answers. With --name the result is written as Markdown and as JSON.
"""

import argparse
import datetime
import json
import math
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from proportions import shown  # noqa: E402


def tail(errors, trials, share):
    if errors >= trials:
        return 1.0
    return min(1.0, sum(math.exp(
        math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1)
        + i * math.log(share) + (trials - i) * math.log(1 - share)) for i in range(errors + 1)))


def counts(scored, threshold):
    passing = [wrong for score, wrong, _ in scored if score >= threshold]
    return sum(passing), len(passing)


def certified(scored, max_error, confidence):
    cut = len(scored) // 3
    order, tests = scored[:cut], scored[cut:]
    thresholds = sorted({score for score, _, _ in order}, reverse=True)
    start = min(range(len(thresholds)), key=lambda i: tail(*counts(order, thresholds[i]), max_error))
    found = None
    for threshold in thresholds[start:]:
        if tail(*counts(tests, threshold), max_error) > 1 - confidence:
            break
        found = threshold
    return found


def split(scored, number, flags):
    """What one random division of the questions gave."""
    shuffled = scored[:]
    random.Random(number).shuffle(shuffled)
    half = len(shuffled) // 2
    threshold = certified(shuffled[:half], flags.max_error, flags.confidence)
    tests = shuffled[half:]
    found = {"split": number, "threshold": threshold, "questions": len(tests)}
    if threshold is None:
        return found
    errors, answered = counts(tests, threshold)
    refused = [(wrong, without) for score, wrong, without in tests if score < threshold]
    return found | {
        "errors": errors,
        "answered": answered,
        "kept": errors <= flags.max_error * answered,
        "refused": len(refused),
        "rightly_refused": sum(wrong for wrong, _ in refused),
        "wrong": sum(wrong for _, wrong, _ in tests),
        "unanswerable_refused": sum(without for _, without in refused),
        "unanswerable": sum(without for _, _, without in tests),
    }


def summary(splits, flags):
    done = [one for one in splits if one["threshold"] is not None]
    total = {key: sum(one[key] for one in done) for key in ("errors", "answered", "questions", "refused", "rightly_refused", "wrong", "unanswerable_refused", "unanswerable", "kept")}
    return {"splits": len(splits), "certified": len(done), **total}


def lines(splits, of, flags):
    yield "| split | threshold | errors | answered | questions | realised error |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in splits:
        if one["threshold"] is None:
            yield f"| {one['split']} | not certified | | | {one['questions']} | |"
        else:
            share = one["errors"] / max(1, one["answered"])
            yield f"| {one['split']} | {one['threshold']:.4f} | {one['errors']} | {one['answered']} | {one['questions']} | {share:.4f} |"
    yield ""
    yield f"Certified in {of['certified']} of {of['splits']} splits; the realised error keeps {flags.max_error} in {of['kept']} of them."
    yield ""
    yield f"Error among the answered {shown(of['errors'], of['answered'])}; answered {shown(of['answered'], of['questions'])}."
    yield f"Refusal precision {shown(of['rightly_refused'], of['refused'])}, recall {shown(of['rightly_refused'], of['wrong'])}, against questions whose answer would be wrong."
    if of["unanswerable"]:
        yield f"Against questions that no page answers: precision {shown(of['unanswerable_refused'], of['refused'])}, recall {shown(of['unanswerable_refused'], of['unanswerable'])}."
    yield ""
    yield "The splits share questions, so these 95 % Wilson intervals are narrower than those of independent ones."


def commit():
    here = Path(__file__).parent
    git = lambda *words: subprocess.run(["git", *words], cwd=here, capture_output=True, text=True).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--max-error", type=float, default=0.1)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "results")
    flags = parser.parse_args()
    calibrated = json.loads(flags.scores.read_text("utf-8"))
    pairs = calibrated["scores"]
    without = [False] * len(pairs)
    if flags.questions:
        lines_of = flags.questions.read_text("utf-8").splitlines()
        without = [not json.loads(line)["pages"] for line in lines_of if line.strip()]
    scored = [(score, wrong, none) for (score, wrong), none in zip(pairs, without, strict=True)]
    splits = [split(scored, number, flags) for number in range(flags.splits)]
    of = summary(splits, flags)
    text = "\n".join(lines(splits, of, flags))
    print(text)
    if flags.name:
        known = calibrated["calibration"]
        place = f"{flags.out}/calibration-{flags.name}"
        setting = {"date": datetime.date.today().isoformat(), "commit": commit()}
        head = (
            f"# Calibration over random splits: {flags.name}\n\n{setting['date']}, commit {setting['commit']}. "
            f"{known['questions']} questions, {known['answerable']} with an answer; at most "
            f"{flags.max_error} of the answers wrong, confidence {flags.confidence}.\n\n"
        )
        Path(f"{place}.md").write_text(head + text + "\n", "utf-8")
        result = {
            "suite": "calibration", "name": flags.name, "setting": setting,
            "max_error": flags.max_error, "confidence": flags.confidence,
            "questions": known["questions"], "answerable": known["answerable"],
            "summary": of, "splits": splits, "scores": calibrated["scores"],
        }
        Path(f"{place}.json").write_text(json.dumps(result) + "\n", "utf-8")
        print(f"written to {place}.md and .json beside it")


main()
