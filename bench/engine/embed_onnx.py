#!/usr/bin/env python3
"""Speed of sentence embedding with ONNX Runtime on all-MiniLM-L6-v2.

    pip install torch transformers onnx onnxscript onnxruntime
    ./embed_onnx.py MODEL_DIR [--batch 32] [--length 128] [--threads 2] [--runs 5]

MODEL_DIR holds config.json and model.safetensors. The model is exported through torch.onnx into
a temporary folder and run with all of ONNX Runtime's graph optimisations, in 32-bit floats. Every
sequence has exactly `length` tokens, so padding plays no part. Prints tokens a second.
"""
import argparse
import os
import pathlib
import statistics
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from transformers import AutoModel  # noqa: E402


class States(torch.nn.Module):
    """The last hidden states of a model, and nothing else."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]


def session(model, ids, mask, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        torch.onnx.export(States(model), (ids, mask), path, dynamo=True,
                          input_names=["input_ids", "attention_mask"], output_names=["states"])
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("model_dir")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--length", type=int, default=128)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    model = AutoModel.from_pretrained(a.model_dir).eval()
    ids = torch.randint(1000, 30000, (a.batch, a.length))
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        want = model(input_ids=ids, attention_mask=mask)[0].numpy()
        run = session(model, ids, mask, a.threads)
    inputs = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    (found,) = run.run(None, inputs)
    assert numpy.abs(found - want).max() < 1e-3, "the exported model computes something else"
    rates = []
    for _ in range(a.runs):
        start = time.perf_counter()
        run.run(None, inputs)
        rates.append(a.batch * a.length / (time.perf_counter() - start))
    print(f"embed {statistics.median(rates):.1f} tok/s ({min(rates):.1f} to {max(rates):.1f})")


if __name__ == "__main__":
    main()
