"""Writes bertscore-NAME.json: BERTScore of pairs by the package bert-score.

    pip install torch transformers bert-score==0.3.13
    python make_bertscore.py FOLDER_OF_MODEL

Pairs are scored one by one, because the package fills shorter texts of a batch
with zeros, which a negative cosine loses against.
"""

import collections
import importlib.metadata
import json
import pathlib
import sys


import torch
import transformers
from bert_score.utils import bert_cos_score_idf, get_idf_dict, get_model, get_tokenizer

PAIRS = [
    ("The cat sat on the mat.", ["The cat is on the mat.", "There is a cat on the mat."]),
    ("A quick brown fox jumps over the lazy dog!", ["The quick brown fox jumped over the lazy dogs.", "A fast fox leaps."]),
    ("Invoices are kept for ten years.", ["Bills are stored for a decade.", "Drafts are deleted after 30 days."]),
    ("", ["Nothing to say.", "Silence."]),
    ("The naïve café serves 3,500.25 crêpes — today only.", ["The cafe sells pancakes today.", "Cafés and crêpes."]),
    ("cat", ["dog", "cat"]),
    ("Backups of the archive are made every night and are stored in Geneva.", ["Every night the archive is backed up.", "They are stored in Geneva, where nobody looks at them."]),
    ("不知道 what this is", ["What is this?", "不知道"]),
]
LAYERS = [1, 3, 6]


def number(value):
    value = float(value)
    return value if value == value else None


def main(folder):
    folder = pathlib.Path(folder)
    torch.set_num_threads(1)
    tokenizer = get_tokenizer(str(folder), use_fast=True)
    # Later versions of transformers took away what the package calls for an empty text.
    around = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    tokenizer.build_inputs_with_special_tokens = lambda ids: around[0] + ids + around[1]
    texts = [text for text, _ in PAIRS]
    lists = list(zip(*(references for _, references in PAIRS)))
    found = {
        "model": folder.name,
        "versions": {"bert-score": importlib.metadata.version("bert-score"), "transformers": transformers.__version__, "torch": torch.__version__},
        "texts": texts,
        "references": lists,
        "cases": [],
    }
    for layer in LAYERS:
        model = get_model(str(folder), layer, all_layers=False).eval()
        for idf in (False, True):
            weights = get_idf_dict([text for texts in lists for text in texts], tokenizer, nthreads=0)
            if not idf:
                weights = collections.defaultdict(lambda: 1.0)
                weights[tokenizer.sep_token_id] = weights[tokenizer.cls_token_id] = 0
            rows = []
            for text, references in PAIRS:
                scores = [
                    bert_cos_score_idf(model, [reference], [text], tokenizer, weights, device="cpu", batch_size=1)[0]
                    for reference in references
                ]
                rows.append([number(column.max()) for column in torch.stack(scores).T])
            found["cases"].append({"layer": layer, "idf": idf, "scores": rows})
    path = pathlib.Path(__file__).with_name(f"bertscore-{folder.name}.json")
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")


main(sys.argv[1])
