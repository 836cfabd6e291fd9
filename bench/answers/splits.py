"""Is the bound of a calibration kept on questions that it has not seen?

    plumb calibrate --questions FILE --json > scores.json
    python3 bench/answers/splits.py scores.json [--max-error 0.1] [--confidence 0.95] [--splits 20]

Reads the score of every question and whether its answer would be wrong, divides
the questions at random into halves, sets the threshold on one half by the method
of `plumb calibrate` (a third chooses the order of thresholds, the rest tests them
by the binomial tail), and counts on the other half: how many answers are wrong,
how many questions are answered, and how well refusals hit the wrong ones.
"""

import argparse
import json
import math
import random


def tail(errors, trials, share):
    if errors >= trials:
        return 1.0
    return min(1.0, sum(math.exp(
        math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1)
        + i * math.log(share) + (trials - i) * math.log(1 - share)) for i in range(errors + 1)))


def counts(scored, threshold):
    passing = [wrong for score, wrong in scored if score >= threshold]
    return sum(passing), len(passing)


def certified(scored, max_error, confidence):
    cut = len(scored) // 3
    order, tests = scored[:cut], scored[cut:]
    thresholds = sorted({score for score, _ in order}, reverse=True)
    start = min(range(len(thresholds)), key=lambda i: tail(*counts(order, thresholds[i]), max_error))
    found = None
    for threshold in thresholds[start:]:
        if tail(*counts(tests, threshold), max_error) > 1 - confidence:
            break
        found = threshold
    return found


def wilson(successes, trials, z=1.959963984540054):
    if trials == 0:
        return "none"
    share = successes / trials
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / shrink
    return f"{share:.3f} ({max(0, centre - half):.3f} to {min(1, centre + half):.3f})"


parser = argparse.ArgumentParser()
parser.add_argument("scores")
parser.add_argument("--max-error", type=float, default=0.1)
parser.add_argument("--confidence", type=float, default=0.95)
parser.add_argument("--splits", type=int, default=20)
flags = parser.parse_args()
scored = [tuple(pair) for pair in json.load(open(flags.scores))["scores"]]
kept = made = errors = answered = asked = 0
refused = rightly = wrong = 0
print("split  threshold  errors  answered  of  realised error")
for split in range(flags.splits):
    shuffled = scored[:]
    random.Random(split).shuffle(shuffled)
    half = len(shuffled) // 2
    threshold = certified(shuffled[:half], flags.max_error, flags.confidence)
    if threshold is None:
        print(f"{split:5}  not certified")
        continue
    tests = shuffled[half:]
    some, all_ = counts(tests, threshold)
    print(f"{split:5}  {threshold:9.4f}  {some:6}  {all_:8}  {len(tests):3}  {some / max(1, all_):.4f}")
    made += 1
    kept += some <= flags.max_error * all_
    errors, answered, asked = errors + some, answered + all_, asked + len(tests)
    below = [is_wrong for score, is_wrong in tests if score < threshold]
    refused, rightly = refused + len(below), rightly + sum(below)
    wrong += sum(is_wrong for _, is_wrong in tests)
print(f"certified in {made} of {flags.splits} splits; the realised error keeps "
      f"{flags.max_error} in {kept} of them")
print(f"error among the answered {wilson(errors, answered)}; answered {wilson(answered, asked)}")
print(f"refusal precision {wilson(rightly, refused)}, recall {wilson(rightly, wrong)} "
      "(against questions whose answer would be wrong)")
print("the splits share questions, so these intervals are narrower than independent ones")
