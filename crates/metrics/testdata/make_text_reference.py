"""Writes text_reference.json: pairs of texts and what the reference libraries
say about them.

    pip install sacrebleu==2.6.0 rouge_score==0.1.2 nltk==3.10.4
    python make_text_reference.py --wordnet FOLDER > text_reference.json

FOLDER holds WordNet 3.0, as Debian's package `wordnet-base` installs it. METEOR
is computed with and without it; the entries that it needs are written to wordnet/,
so that the tests need no more.
"""

import argparse
import json
import pathlib
import random
import shutil
import sys
import tempfile

import nltk
import sacrebleu
from nltk.corpus import wordnet
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF, TER

import text_pairs

LEXNAMES = 45


class NoWordNet:
    """Meanings of which no word has any: METEOR by form and stem."""

    def synsets(self, word):
        return []


def read_wordnet(folder, scratch):
    """NLTK's reader of a copy, with two files more than the package has."""
    nltk.data.path.insert(0, scratch)
    home = pathlib.Path(scratch, "corpora", "wordnet")
    home.mkdir(parents=True)
    for file in pathlib.Path(folder).iterdir():
        if file.is_file():
            shutil.copy(file, home)
    (home / "lexnames").write_text("".join(f"{n:02}\tname{n}\t1\n" for n in range(LEXNAMES)))
    (home / "index.sense").write_text("")
    wordnet.ensure_loaded()
    return wordnet


def write_excerpt(folder, texts):
    """The entries of WordNet that METEOR asks for on these texts, without glosses
    and pointers, at offsets of their own; with the licence that it asks to keep."""
    stemmer = PorterStemmer()
    stems = {stemmer.stem(token) for text in texts for token in text.lower().split()}
    licence = [
        (line.strip() + " ").split(" ", 1)[1].rstrip()
        for line in open(f"{folder}/data.noun", encoding="utf-8") if line.startswith("  ")
    ]
    out = pathlib.Path(__file__).parent / "wordnet"
    out.mkdir(exist_ok=True)
    for pos, name in zip("nvar", ("noun", "verb", "adj", "adv")):
        forms, exceptions = set(), []
        for stem in stems:
            forms.update(wordnet._morphy(stem, pos))
            if stem in wordnet._exception_map[pos]:
                exceptions.append(" ".join([stem] + wordnet._exception_map[pos][stem]))
        entries = {form: wordnet._lemma_pos_offset_map[form][pos] for form in sorted(forms)}
        data = "".join(f"  {number} {line}  \n" for number, line in enumerate(licence, 1))
        moved = {}
        lines = open(f"{folder}/data.{name}", "rb").read()
        for offset in sorted({offset for offsets in entries.values() for offset in offsets}):
            fields = lines[offset:lines.index(b"\n", offset)].decode().split()
            words = fields[4:4 + 2 * int(fields[3], 16)]
            moved[offset] = len(data.encode())
            data += f"{moved[offset]:08} {' '.join(fields[1:4] + words)} 000 | \n"
        index = "".join(f"  {number} {line}  \n" for number, line in enumerate(licence, 1))
        for form, offsets in entries.items():
            new = " ".join(f"{moved[offset]:08}" for offset in offsets)
            index += f"{form} {pos} {len(offsets)} 0 {len(offsets)} 0 {new}  \n"
        (out / f"data.{name}").write_text(data, "utf-8")
        (out / f"index.{name}").write_text(index, "utf-8")
        (out / f"{name}.exc").write_text("".join(f"{line}\n" for line in sorted(exceptions)), "utf-8")


def by_bleu(hyps, refs):
    found = {}
    for tokenizer in ("13a", "intl", "zh", "char", "none"):
        for smoothing in ("exp", "floor", "add-k", "none"):
            for lowercase in (False, True):
                metric = BLEU(tokenize=tokenizer, smooth_method=smoothing, lowercase=lowercase)
                score = metric.corpus_score(hyps, refs)
                found[str(metric.get_signature())] = [
                    score.score, list(map(float, score.counts)), list(map(float, score.totals)),
                    score.bp, score.sys_len, score.ref_len,
                ]
    return found


def by_sentence(make, hyps, refs):
    return [make().sentence_score(hyp, list(texts)).score for hyp, *texts in zip(hyps, *refs)]


def by_chrf(hyps, refs):
    found = []
    for words in (0, 1, 2):
        for beta in (1, 2, 3):
            for eps in (False, True):
                for space in (False, True):
                    metric = CHRF(word_order=words, beta=beta, eps_smoothing=eps, whitespace=space)
                    score = metric.corpus_score(hyps, refs).score
                    found.append([words, beta, eps, space, str(metric.get_signature()), score])
    return found


def by_ter(hyps, refs):
    found = {}
    for number in (0, 1, 2, 5, 6, 7, 8, 15):
        names = ("normalized", "no_punct", "asian_support", "case_sensitive")
        options = {name: bool(number >> bit & 1) for bit, name in enumerate(names)}
        metric = TER(**options)
        score = metric.corpus_score(hyps, refs)
        found[str(metric.get_signature())] = [score.score, score.num_edits, score.ref_length]
    return found


def by_rouge(hyps, refs):
    kinds = [f"rouge{n}" for n in range(1, 10)] + ["rougeL", "rougeLsum"]
    found = {}
    for stem in (False, True):
        scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
        # `|` stands for the end of a sentence, so that Lsum has some.
        lines = lambda text: text.replace("|", "\n")
        rows = [
            scorer.score_multi([lines(text) for text in texts], lines(hyp))
            for hyp, *texts in zip(hyps, *refs)
        ]
        found["porter" if stem else "no"] = {
            kind: [[row[kind].precision, row[kind].recall, row[kind].fmeasure] for row in rows]
            for kind in kinds
        }
    return found


def by_meteor(hyps, refs, wordnet):
    return [
        meteor_score([text.split() for text in texts], hyp.split(), wordnet=wordnet)
        for hyp, *texts in zip(hyps, *refs)
    ]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--wordnet", required=True)
    options = arguments.parse_args()
    rows = list(text_pairs.pairs(80, 2, 7))
    hyps, refs = [row[0] for row in rows], [[row[1][n] for row in rows] for n in range(2)]
    stemmer = PorterStemmer()
    rng = random.Random(3)
    endings = """s es ies sses ss ed ied eed ing y ational tional enci anci izer bli alli allalli entli eli
    ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize
    iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive
    ize e ll ble at bl iz*d *d""".split()
    stems = sorted(set(text_pairs.WORDS + text_pairs.OTHERS) | {
        "".join(rng.choice("abcdeioulysztwxé") for _ in range(rng.randint(0, 7))) + ending
        for ending in endings for _ in range(8)
    })
    result = {
        "versions": {
            "sacrebleu": sacrebleu.__version__, "rouge_score": "0.1.2", "nltk": nltk.__version__,
            "wordnet": "3.0",
        },
        "hyp": hyps,
        "refs": refs,
        "tokens": {
            name: [BLEU(tokenize=name).tokenizer(text.rstrip()).split() for text in hyps]
            for name in ("13a", "intl", "zh", "char", "none")
        },
        "bleu": by_bleu(hyps, refs),
        "bleu_sentence": by_sentence(lambda: BLEU(effective_order=True), hyps, refs),
        "bleu_one_reference": BLEU().corpus_score(hyps, refs[:1]).score,
        "chrf": by_chrf(hyps, refs),
        "chrf_sentence": by_sentence(CHRF, hyps, refs),
        "ter": by_ter(hyps, refs),
        "ter_sentence": by_sentence(TER, hyps, refs),
        "rouge": by_rouge(hyps, refs),
        "stems": [[text.lower(), stemmer.stem(text)] for text in stems],
        "meteor_without_wordnet": by_meteor(hyps, refs, NoWordNet()),
    }
    with tempfile.TemporaryDirectory() as scratch:
        result["meteor"] = by_meteor(hyps, refs, read_wordnet(options.wordnet, scratch))
        write_excerpt(options.wordnet, hyps + refs[0] + refs[1])
    json.dump(result, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
