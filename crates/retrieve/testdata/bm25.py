"""Writes bm25.json: scores of bm25s, the reference of the BM25 test.

    pip install bm25s==0.3.16
    python bm25.py > bm25.json
"""

import json
import random
from importlib.metadata import version

import bm25s

random.seed(7)
WORDS = [f"w{i}" for i in range(40)]
# Frequent and rare words, short and long passages, one without any word.
WEIGHTS = [1 / (i + 1) for i in range(40)]
corpus = [random.choices(WORDS, WEIGHTS, k=random.randint(1, 60)) for _ in range(50)] + [[]]
queries = [random.choices(WORDS, k=random.randint(1, 6)) for _ in range(12)]
queries += [["w0"], ["w39", "w39"], ["w1", "absent"]]

cases = []
for k1, b in [(1.2, 0.75), (0.9, 0.4), (1.5, 0.0), (2.0, 1.0)]:
    model = bm25s.BM25(method="lucene", k1=k1, b=b, dtype="float64")
    model.index(corpus, show_progress=False)
    scores = []
    for query in queries:
        known = [word for word in query if word in model.vocab_dict]
        scores.append([round(float(score), 9) for score in model.get_scores(known)])
    cases.append({"k1": k1, "b": b, "scores": scores})

print(json.dumps({"bm25s": version("bm25s"), "corpus": corpus, "queries": queries, "cases": cases}))
