"""Writes retrieval-run.txt, -qrels.txt and -expected.txt. Needs pytrec_eval-terrier 0.5.11.

Random runs with many ties of score, some below the precision of f32; grades of
-1 to 3; queries that only the run or only the judgements have; queries to which
nothing is relevant.
"""

import random
from pathlib import Path

import pytrec_eval

HERE = Path(__file__).parent
FAMILIES = {
    "ndcg", "ndcg_cut.1,3,5,10,100", "map", "map_cut.5,10", "recip_rank", "P.1,5,10",
    "recall.5,10,100", "success.1,5", "Rprec", "bpref",
}
NAMES = "ndcg ndcg_cut_1 ndcg_cut_3 ndcg_cut_5 ndcg_cut_10 ndcg_cut_100 map map_cut_5 map_cut_10 "
NAMES += "recip_rank P_1 P_5 P_10 recall_5 recall_10 recall_100 success_1 success_5 Rprec bpref"

random.seed(20)
run, qrels = {}, {}
for number in range(170):
    query = f"q{number}"
    documents = [f"d{random.randrange(10**6)}" for _ in range(40)]
    judged = random.sample(documents, random.randrange(1, 25))
    grades = [0, 0, 0] if number % 11 == 0 else [-1, 0, 0, 1, 1, 2, 3]
    qrels[query] = {document: random.choice(grades) for document in judged}
    retrieved = random.sample(documents, random.randrange(1, 35))
    tied = number % 3
    score = lambda: random.choice([1.0, 2.0, 0.5, 0.5 + 1e-8]) if tied else random.random()
    run[query] = {document: score() for document in retrieved}
for number in range(5):
    run[f"only-run-{number}"] = {"d1": 1.0}
    qrels[f"only-judged-{number}"] = {"d1": 1}

lines = [f"{q} Q0 {d} 0 {s!r} t\n" for q, one in run.items() for d, s in one.items()]
(HERE / "retrieval-run.txt").write_text("".join(lines))
lines = [f"{q} 0 {d} {g}\n" for q, one in qrels.items() for d, g in one.items()]
(HERE / "retrieval-qrels.txt").write_text("".join(lines))
found = pytrec_eval.RelevanceEvaluator(qrels, FAMILIES).evaluate(run)
lines = ["query " + NAMES + "\n"]
for query in sorted(found):
    lines.append(" ".join([query] + [repr(found[query][name]) for name in NAMES.split()]) + "\n")
(HERE / "retrieval-expected.txt").write_text("".join(lines))
