"""Prints reference.txt. Needs pytrec_eval-terrier 0.5.11, scipy 1.17.1, statsmodels 0.15.0."""

import numpy as np
import pytrec_eval
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

JUDGED = {
    "q1": {"d1": 0, "d2": 1, "d3": 2, "d4": 3, "d5": 0, "dX": 2},
    "q2": {"d2": 1, "d3": 1},
}
# The tool orders ties of score by falling document name.
RUN = {
    "q1": {"d1": 1.0, "d2": 1.0, "d3": 0.5, "d4": 0.5, "d5": 0.5, "d6": 0.1},
    "q2": {"d2": 1.5, "d3": 0.2, "d1": 0.9, "d7": 0.9},
}
FAMILIES = {"ndcg_cut", "recall", "P", "success", "recip_rank", "map", "map_cut", "Rprec", "bpref"}
NAMES = "ndcg_cut_5 ndcg_cut_10 recall_5 P_5 P_10 success_1 recip_rank map map_cut_5 Rprec bpref".split()
A = [0.61, 0.72, 0.55, 0.80, 0.43, 0.91, 0.67, 0.59, 0.74, 0.66]
A += [0.48, 0.83, 0.70, 0.52, 0.77, 0.64, 0.58, 0.69, 0.88, 0.50]
B = [0.58, 0.75, 0.51, 0.84, 0.49, 0.90, 0.61, 0.60, 0.79, 0.62]
B += [0.41, 0.80, 0.76, 0.50, 0.71, 0.69, 0.55, 0.73, 0.85, 0.47]

found = pytrec_eval.RelevanceEvaluator(JUDGED, FAMILIES).evaluate(RUN)
for query in RUN:
    for name in NAMES:
        print(f"{query}_{name}", found[query][name])

print("system_a", *A)
print("system_b", *B)
print("paired_mean_difference", sum(a - b for a, b in zip(A, B)) / len(A))
for method, short in (("percentile", "percentile"), ("BCa", "bca")):
    random = np.random.default_rng(12345)
    got = stats.bootstrap((A,), np.mean, n_resamples=9999, method=method, rng=random)
    print(f"bootstrap_{short}_low", got.confidence_interval.low)
    print(f"bootstrap_{short}_high", got.confidence_interval.high)
difference = np.array(A) - np.array(B)
test = stats.permutation_test(
    (difference,), np.mean, permutation_type="samples", n_resamples=np.inf
)
print("signflip_exact_p", test.pvalue)
low, high = proportion_confint(37, 50, method="wilson")
print("wilson_37_of_50_low", low)
print("wilson_37_of_50_high", high)
