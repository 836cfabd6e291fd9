#!/usr/bin/env python3
"""Speed of a cross-encoder with PyTorch (transformers).

    pip install torch transformers
    ./rerank_torch.py MODEL_DIR [--batch 32] [--length 128] [--threads 2] [--runs 5]

MODEL_DIR is the folder of a sequence classifier. Every pair has exactly `length` tokens, so padding
plays no part. Prints tokens a second.
"""
import argparse
import os
import statistics
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402
from transformers import AutoModelForSequenceClassification  # noqa: E402


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("model_dir")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--length", type=int, default=128)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    model = AutoModelForSequenceClassification.from_pretrained(a.model_dir).eval()
    ids = torch.randint(5, model.config.vocab_size, (a.batch, a.length))
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        for _ in range(2):
            model(input_ids=ids, attention_mask=mask)
        rates = []
        for _ in range(a.runs):
            start = time.perf_counter()
            model(input_ids=ids, attention_mask=mask)
            rates.append(a.batch * a.length / (time.perf_counter() - start))
    print(f"rerank {statistics.median(rates):.1f} tok/s ({min(rates):.1f} to {max(rates):.1f})")


if __name__ == "__main__":
    main()
