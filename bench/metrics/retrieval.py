"""Retrieval measures beside pytrec_eval: the same values, and what each takes.

    pip install pytrec-eval-terrier==0.5.11
    python bench/metrics/retrieval.py target/release/plumb

Random runs with ties: 2,000 queries of 100 documents. Both read their files and
score them in the same process; plumb is timed once with one resample (the values
alone) and once with the intervals that it prints by default.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import pytrec_eval

PLUMB = sys.argv[1]
QUERIES = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000
DEPTH, JUDGED = 100, 40
MEASURES = {
    "ndcg_cut_10": "ndcg@10",
    "map": "map",
    "recip_rank": "mrr",
    "recall_100": "recall@100",
    "P_10": "precision@10",
    "success_5": "success@5",
    "Rprec": "rprec",
    "bpref": "bpref",
}
FAMILIES = {
    "ndcg_cut.10", "map", "recip_rank", "recall.100", "P.10", "success.5", "Rprec", "bpref",
}


def write(folder: Path) -> None:
    random.seed(7)
    with (folder / "run").open("w") as run, (folder / "qrels").open("w") as qrels:
        for query in range(QUERIES):
            documents = random.sample(range(10**7), DEPTH + 20)
            for document in documents[:DEPTH]:
                score = random.choice([random.random(), 0.5])
                run.write(f"q{query} Q0 d{document} 0 {score} t\n")
            for document in random.sample(documents, JUDGED):
                qrels.write(f"q{query} 0 d{document} {random.choice([-1, 0, 0, 1, 2, 3])}\n")


def peer(folder: Path) -> tuple[dict, float, float]:
    start = time.perf_counter()
    with (folder / "run").open() as file:
        run = pytrec_eval.parse_run(file)
    with (folder / "qrels").open() as file:
        qrels = pytrec_eval.parse_qrel(file)
    read = time.perf_counter()
    found = pytrec_eval.RelevanceEvaluator(qrels, FAMILIES).evaluate(run)
    return found, time.perf_counter() - start, time.perf_counter() - read


def ours(folder: Path, *flags: str) -> tuple[dict, float]:
    command = [PLUMB, "eval", "retrieval", "--run", folder / "run", "--qrels", folder / "qrels"]
    command += ["--metrics", ",".join(MEASURES.values()), "--json", *flags]
    start = time.perf_counter()
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(text), time.perf_counter() - start


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    write(folder)
    found, whole, scoring = min((peer(folder) for _ in range(3)), key=lambda one: one[1])
    values, _ = ours(folder, "--per-query", "--resamples", "1")
    apart = 0.0
    for theirs, name in MEASURES.items():
        for query, value in values[name]["per_query"].items():
            apart = max(apart, abs(value - found[query][theirs]))
    bare = min(ours(folder, "--resamples", "1")[1] for _ in range(5))
    full = min(ours(folder)[1] for _ in range(3))
    print(f"pytrec-eval-terrier {version('pytrec-eval-terrier')}, {QUERIES} queries, 8 measures")
    print(f"largest difference of a value of a query: {apart:.2e}")
    print(f"pytrec_eval: {whole:.3f} s, of which scoring {scoring:.3f} s")
    print(f"plumb without intervals: {bare:.3f} s, {whole / bare:.1f} times as fast")
    print(f"plumb with intervals of 9,999 resamples: {full:.3f} s")


if __name__ == "__main__":
    main()
