"""Prints statistics.txt: values of tests, intervals, classes, agreement and games.

Needs numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0, scikit-learn 1.9.1,
krippendorff 0.9.0. Games, and the confidence sequence, are computed from their
formulas with scipy; evalica 0.4.2 agrees on the strengths to 1e-4.
"""

import math

import krippendorff
import numpy as np
from scipy import optimize, stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint, samplesize_proportions_2indep_onetail

A = [0.61, 0.72, 0.55, 0.80, 0.43, 0.91, 0.67, 0.59, 0.74, 0.66]
A += [0.48, 0.83, 0.70, 0.52, 0.77, 0.64, 0.58, 0.69, 0.88, 0.50]
B = [0.58, 0.75, 0.51, 0.84, 0.49, 0.90, 0.61, 0.60, 0.79, 0.62]
B += [0.41, 0.80, 0.76, 0.50, 0.71, 0.69, 0.55, 0.73, 0.85, 0.47]
A, B = np.array(A), np.array(B)


def show(name, *values):
    print(name, *(float(value) for value in values))


for method in ("beta", "jeffreys"):
    low, high = proportion_confint(37, 50, method=method)
    show(f"{method}_37_of_50_low", low)
    show(f"{method}_37_of_50_high", high)

table = [[30, 12], [5, 53]]
show("mcnemar_exact", mcnemar(table, exact=True).pvalue)
show("mcnemar_chi2_cc", mcnemar(table, exact=False, correction=True).pvalue)
show("mcnemar_chi2", mcnemar(table, exact=False, correction=False).pvalue)

P = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
show("p_values", *P)
show("holm", *multipletests(P, method="holm")[1])
show("fdr_bh", *multipletests(P, method="fdr_bh")[1])

found = stats.wilcoxon(A, B, method="asymptotic", correction=False)
show("wilcoxon_statistic", found.statistic)
show("wilcoxon_normal_p", found.pvalue)
show("wilcoxon_corrected_p", stats.wilcoxon(A, B, method="asymptotic", correction=True).pvalue)
untied = [1.5, -0.3, 2.25, 0.75, -1.0, 3.5, 0.125, -0.2, 4.0, 1.25, -2.0, 0.6]
show("wilcoxon_untied", *untied)
show("wilcoxon_untied_p", stats.wilcoxon(untied, method="exact").pvalue)
tied = [1.0, -1.0, 2.0, 2.0, -1.0, 3.0, 3.0, 1.0, 2.0, 4.0]
show("wilcoxon_tied", *tied)
show("wilcoxon_tied_p", stats.wilcoxon(tied).pvalue)

apart = lambda x, y: np.mean(x) - np.mean(y)
# In whole hundredths, so that ways with equal sums are seen to be equal.
hundredths = np.rint(100 * A[4:12]), np.rint(100 * B[12:20])
exact = stats.permutation_test(hundredths, apart, n_resamples=np.inf)
show("permutation_independent_p", exact.pvalue)
sampled = stats.permutation_test((A, B), apart, n_resamples=200_000, rng=np.random.default_rng(1))
show("permutation_sampled_p", sampled.pvalue)

estimate, variance, n, tuned = 0.02, 6.632e-5, 10_000, 5_000
rho2 = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / tuned
grown = n * rho2 + 1
half = math.sqrt(variance * n * 2 * grown / (n * n * rho2) * math.log(math.sqrt(grown) / 0.05))
show("sequence_low", estimate - half)
show("sequence_high", estimate + half)
evidence = n * n * rho2 * estimate**2 / (2 * variance * n * grown)
show("sequence_p", math.sqrt(grown) * math.exp(-evidence))

for left, right in ((0.7, 0.75), (0.1, 0.2)):
    name = f"plan_proportions_{round(left * 100)}_{round(right * 100)}"
    found = samplesize_proportions_2indep_onetail(
        left - right, right, 0.8, alpha=0.05, alternative="two-sided"
    )
    show(name, found)
for difference in (0.02, 0.1):
    show(f"plan_paired_{difference}", TTestPower().solve_power(difference / 0.2, None, 0.05, 0.8))

values = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 0.0])
clusters = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 3])
sums = np.array([(values - values.mean())[clusters == c].sum() for c in range(4)])
show("clustered_standard_error", math.sqrt(4 / 3 * (sums**2).sum()) / len(values))

random = np.random.default_rng(3)
gold = random.integers(0, 4, 60)
predicted = np.where(random.random(60) < 0.6, gold, random.integers(0, 4, 60))
show("gold", *gold)
show("predicted", *predicted)
show("accuracy", metrics.accuracy_score(gold, predicted))
show("matthews", metrics.matthews_corrcoef(gold, predicted))
for average in ("macro", "micro", "weighted"):
    found = metrics.precision_recall_fscore_support(gold, predicted, average=average)
    for name, value in zip(("precision", "recall", "f1"), found):
        show(f"{average}_{name}", value)
for label, value in enumerate(metrics.f1_score(gold, predicted, average=None)):
    show(f"class_{label}_f1", value)

labels = random.integers(0, 2, 80)
scores = np.round(random.random(80) + 0.3 * labels, 1)
show("ranked_labels", *labels)
show("ranked_scores", *scores)
show("roc_auc", metrics.roc_auc_score(labels, scores))
show("average_precision", metrics.average_precision_score(labels, scores))

confidence = np.array([0.95, 0.9, 0.85, 0.8, 0.72, 0.66, 0.6, 0.55, 0.5, 0.3])
correct = np.array([1, 1, 0, 1, 1, 0, 1, 0, 1, 0])
show("calibration_confidence", *confidence)
show("calibration_correct", *correct)
for bins in (10, 15):
    error = 0.0
    for low in range(bins):
        inside = (confidence > low / bins) & (confidence <= (low + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    show(f"ece_{bins}", error)
show("brier", metrics.brier_score_loss(correct, confidence))

show("spearman_systems", stats.spearmanr(A, B).statistic)
show("kendall_systems", stats.kendalltau(A, B).statistic)
show("spearman_classes", stats.spearmanr(gold, predicted).statistic)
show("kendall_classes", stats.kendalltau(gold, predicted).statistic)

N = math.nan
RATED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
for level in ("nominal", "ordinal", "interval", "ratio"):
    found = krippendorff.alpha(reliability_data=RATED, level_of_measurement=level)
    show(f"krippendorff_{level}", found)
x, y = [1, 1, 2, 2, 3, 3, 1, 2, 3, 1], [1, 2, 2, 2, 3, 1, 1, 2, 3, 3]
for weights in (None, "linear", "quadratic"):
    name = f"cohen_{weights or 'none'}"
    show(name, metrics.cohen_kappa_score(x, y, weights=weights))
rated = np.array([[1, 1, 2], [2, 2, 2], [3, 3, 1], [1, 1, 1], [2, 3, 3]])
show("fleiss", fleiss_kappa(aggregate_raters(rated)[0]))

GAMES = "ab> ac> bc< cd> ad> db< bd= ca< da< ab> ba< cb= dc> ad> da> bc>".split()
wins = np.zeros((4, 4))
for left, right, sign in GAMES:
    i, j = "abcd".index(left), "abcd".index(right)
    share = {">": 1.0, "<": 0.0, "=": 0.5}[sign]
    wins[i, j] += share
    wins[j, i] += 1 - share


def chances(s):
    return 1 / (1 + np.exp(s[None, :] - s[:, None]))


loss = lambda s: -(wins * np.log(chances(s))).sum() + s.mean() ** 2
best = optimize.minimize(loss, np.zeros(4), tol=1e-14).x
scale = 400 / math.log(10)
show("bradley_terry", *(1000 + scale * (best - best.mean())))
p = chances(best)
weight = (wins + wins.T) * p * (1 - p)
information = np.diag(weight.sum(1)) - weight
spread = np.sqrt(np.diag(np.linalg.pinv(information)))
show("bradley_terry_half_widths", *(stats.norm.ppf(0.975) * scale * spread))
