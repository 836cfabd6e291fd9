"""`plumb eval text` beside sacrebleu, rouge_score and NLTK on the same files: the
largest difference of any value, of all texts and of each, and the speed.

    pip install sacrebleu==2.6.0 rouge_score==0.1.2 nltk==3.10.4
    python bench/metrics/compare.py --plumb target/release/plumb --wordnet FOLDER

Equality is checked on --pairs pairs made to be hard (crates/metrics/testdata/
text_pairs.py) and on as many plain sentences, with two references; speed on
plain sentences of 25 words with one. FOLDER holds WordNet (Debian: wordnet-base,
/usr/share/wordnet); without it METEOR goes without synonyms on both sides.

Times are of the processor, so that other programs disturb them less. That of
plumb is of the whole program, starting and reading files included; that of the
peers is of computing alone, after a first call. First values alone are compared
(plumb with one resample), then values with intervals by 1,000 resamples where
the peer has them. Exits with 1 if a difference is larger than 1e-6.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "crates" / "metrics" / "testdata"))

import make_text_reference as reference  # noqa: E402
import text_pairs  # noqa: E402
from rouge_score import rouge_scorer  # noqa: E402
from sacrebleu.metrics import BLEU, CHRF, TER  # noqa: E402

ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
TOKENIZERS = ["13a", "intl", "zh", "char", "none"]


def by_sacrebleu(metric, one):
    def run(hyps, refs):
        return metric.corpus_score(hyps, refs).score

    def each(hyps, refs):
        return [one.sentence_score(hyp, list(texts)).score for hyp, *texts in zip(hyps, *refs)]

    return run, each


def by_rouge(stem):
    scorer = rouge_scorer.RougeScorer(ROUGE, use_stemmer=stem)

    def each(hyps, refs):
        rows = [scorer.score_multi(list(texts), hyp) for hyp, *texts in zip(hyps, *refs)]
        return {kind: [row[kind].fmeasure for row in rows] for kind in ROUGE}

    return each


def by_meteor(wordnet):
    return lambda hyps, refs: reference.by_meteor(hyps, refs, wordnet)


def children():
    """Processor time of all programs that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def mean(values):
    return sum(values) / len(values)


class Plumb:
    def __init__(self, program, folder, wordnet):
        self.program, self.folder, self.wordnet = program, folder, wordnet

    def run(self, metrics, references, *flags):
        """Values by metric, and the processor's seconds of the whole program."""
        command = [self.program, "eval", "text", "--json", "--metrics", metrics]
        command += ["--hyp", self.folder / "hyp.txt", *flags]
        for number in range(references):
            command += ["--ref", self.folder / f"ref{number + 1}.txt"]
        if "meteor" in metrics:
            command += ["--wordnet", self.wordnet] if self.wordnet else []
        start = children()
        output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        return json.loads(output.stdout), children() - start


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    lists = [[row[0] for row in rows]] + [list(texts) for texts in zip(*(row[1] for row in rows))]
    names = ["hyp"] + [f"ref{number + 1}" for number in range(len(lists) - 1)]
    for name, texts in zip(names, lists):
        (folder / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return lists[0], lists[1:]


def equality(plumb, hyps, refs, wordnet):
    """(name, largest difference) of each variant."""
    found = []

    def add(name, metric, flags, all_texts, each):
        result = plumb.run(metric, len(refs), "--per-segment", *flags)[0][metric]
        differences = [abs(result["value"] - all_texts)]
        differences += [abs(a - b) for a, b in zip(result["segments"], each, strict=True)]
        found.append((name, max(differences)))

    for tokenizer in TOKENIZERS:
        for smoothing in ("exp", "floor", "add-k", "none"):
            for lower in (False, True) if smoothing == "exp" else (False,):
                make = dict(tokenize=tokenizer, smooth_method=smoothing, lowercase=lower)
                run, each = by_sacrebleu(BLEU(**make), BLEU(effective_order=True, **make))
                flags = ["--bleu-tokenize", tokenizer, "--bleu-smooth", smoothing]
                flags += ["--lowercase"] if lower else []
                name = f"bleu {tokenizer} {smoothing}{' lc' if lower else ''}"
                add(name, "bleu", flags, run(hyps, refs), each(hyps, refs))
    for name, words in (("chrf", 0), ("chrf++", 2)):
        run, each = by_sacrebleu(CHRF(word_order=words), CHRF(word_order=words))
        add(name, name, [], run(hyps, refs), each(hyps, refs))
    for flags, options in (
        ([], {}),
        (["--ter", "normalized,asian"], {"normalized": True, "asian_support": True}),
        (["--ter", "no-punct,case-sensitive"], {"no_punct": True, "case_sensitive": True}),
    ):
        run, each = by_sacrebleu(TER(**options), TER(**options))
        add(" ".join(["ter", *flags[1:]]), "ter", flags, run(hyps, refs), each(hyps, refs))
    for stem in (False, True):
        for kind, values in by_rouge(stem)(hyps, refs).items():
            add(f"{kind}{' stem' if stem else ''}", kind, ["--stem"] if stem else [], mean(values), values)
    values = by_meteor(wordnet)(hyps, refs)
    add("meteor", "meteor", [], mean(values), values)
    return found


def speed(plumb, hyps, refs, wordnet, options):
    """(name, texts a second of the peer, of plumb) of each measure."""
    cases = [
        ("bleu", "bleu", [], lambda h, r: BLEU().corpus_score(h, r), 4000),
        ("chrf", "chrf", [], lambda h, r: CHRF().corpus_score(h, r), 2000),
        ("chrf++", "chrf++", [], lambda h, r: CHRF(word_order=2).corpus_score(h, r), 2000),
        ("ter", "ter", [], lambda h, r: TER().corpus_score(h, r), 400),
        ("rouge 1,2,L,Lsum", ",".join(ROUGE), [], by_rouge(False), 300),
        ("rouge with stems", ",".join(ROUGE), ["--stem"], by_rouge(True), 300),
        ("meteor", "meteor", [], by_meteor(wordnet), 400),
    ]
    found = []
    for name, metrics, flags, peer, count in cases:
        peer(hyps[:50], [texts[:50] for texts in refs])
        start = time.process_time()
        peer(hyps[:count], [texts[:count] for texts in refs])
        theirs = min(count, len(hyps)) / (time.process_time() - start)
        flags = [*flags, "--resamples", "1"]
        ours = min(plumb.run(metrics, len(refs), *flags)[1] for _ in range(options.runs))
        found.append((name, theirs, len(hyps) / ours))
    hyps, refs = write(plumb.folder, list(zip(hyps[:1000], zip(*(texts[:1000] for texts in refs)))))
    for name, make in (("bleu", BLEU), ("chrf", CHRF)):
        start = time.process_time()
        make().corpus_score(hyps, refs, n_bootstrap=1000)
        theirs = len(hyps) / (time.process_time() - start)
        ours = min(plumb.run(name, len(refs))[1] for _ in range(options.runs))
        found.append((f"{name} of 1000 with 1000 resamples", theirs, len(hyps) / ours))
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--plumb", type=pathlib.Path, required=True)
    arguments.add_argument("--wordnet")
    arguments.add_argument("--pairs", type=int, default=2500)
    arguments.add_argument("--texts", type=int, default=20000)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=11)
    arguments.add_argument("--skip", choices=["equality", "speed"], default=None)
    options = arguments.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        wordnet = reference.NoWordNet()
        if options.wordnet:
            wordnet = reference.read_wordnet(options.wordnet, str(scratch / "nltk"))
        plumb = Plumb(options.plumb.resolve(), scratch, options.wordnet)
        if options.skip != "equality":
            print(f"| measure | largest difference, {options.pairs} hard pairs | {options.pairs} plain |")
            print("|---|---|---|")
            columns = []
            for make in (text_pairs.pairs, text_pairs.plain):
                hyps, refs = write(scratch, list(make(options.pairs, 2, options.seed)))
                columns.append(equality(plumb, hyps, refs, wordnet))
            for (name, hard), (_, plain) in zip(*columns):
                print(f"| {name} | {hard:.1e} | {plain:.1e} |")
                worst = max(worst, hard, plain)
            print(f"\nlargest difference {worst:.1e}\n")
        if options.skip != "speed":
            hyps, refs = write(scratch, list(text_pairs.plain(options.texts, 1, options.seed)))
            print("| measure | peer, texts/s | plumb, texts/s | ratio |\n|---|---|---|---|")
            for name, theirs, ours in speed(plumb, hyps, refs, wordnet, options):
                print(f"| {name} | {theirs:.0f} | {ours:.0f} | {ours / theirs:.0f} |")
    sys.exit(1 if worst > 1e-6 else 0)


if __name__ == "__main__":
    main()
