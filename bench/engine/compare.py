#!/usr/bin/env python3
"""Speed of `plumb` and of its peers in turn, as a table of ratios.

    pip install xllamacpp torch transformers onnx onnxscript onnxruntime
    ./compare.py --plumb target/release/plumb [--threads 2] [--runs 5] [--rounds 2] [--quick]
                 [--reranker FOLDER]

The models are those of the catalogue that `plumb model show` finds. Each row
measures the peer, `plumb`, and so on for `--rounds` rounds; a figure is the
median of the rounds' medians, beside the lowest and highest single run. llama.cpp
runs with each of its settings that could help it, and the best one counts.
With --reranker the cross-encoder in that folder is compared, too. Run it on a machine that does
nothing else.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
GENERATORS = ["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "gemma-3-270m"]
EMBEDDER = "all-minilm-l6-v2"
LLAMA_SETTINGS = [[], ["--flash-attention", "on"], ["--flash-attention", "off"], ["--no-repack"]]
RATE = re.compile(r"^(\w+) ([\d.]+) tok/s \(([\d.]+) to ([\d.]+)\)$", re.M)


def output(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


class Plumb:
    def __init__(self, args):
        self.path, self.common = args.plumb, ["--threads", args.threads, "--json"]
        self.runs = ["--runs", args.runs]

    def json(self, *words):
        return json.loads(output([self.path, *words, *self.common]))

    def weights(self, name):
        return pathlib.Path(self.json("model", "show", name)["path"])

    def generate(self, name, prompt, depth):
        words = ["--prompt", prompt, "--generate", 64, "--depth", depth, *self.runs]
        found = self.json("bench", "generate", name, *words)
        return {"prompt": rates(found["prompt_rates"]), "generate": rates(found["generate_rates"])}

    def embed(self, name):
        words = ["--batch", 32, "--length", 128, *self.runs]
        return {"embed": rates(self.json("bench", "embed", name, *words)["rates"])}

    def rerank(self, folder):
        words = ["--batch", 32, "--length", 128, *self.runs]
        return {"rerank": rates(self.json("bench", "rerank", folder, *words)["rates"])}


def rates(found):
    return found["median"], found["min"], found["max"]


def peer(script, weights, args, *words):
    common = ["--threads", args.threads, "--runs", args.runs]
    text = output([sys.executable, HERE / script, weights, *words, *common])
    return {name: tuple(map(float, numbers)) for name, *numbers in RATE.findall(text)}


def combine(rounds, key):
    """Median of medians, lowest and highest of all runs."""
    found = [figures[key] for figures in rounds]
    medians, lowest, highest = zip(*found)
    return statistics.median(medians), min(lowest), max(highest)


def row(what, ours, theirs, setting=""):
    def text(figure):
        digits = 0 if figure[0] >= 1000 else 1
        median, lowest, highest = (f"{value:,.{digits}f}" for value in figure)
        return f"{median} ({lowest} to {highest})"

    ratio = ours[0] / theirs[0]
    print(f"| {what} | {text(ours)} | {text(theirs)}{setting} | {ratio:.2f} |", flush=True)


def best_settings(weights, args):
    """The settings of llama.cpp that are fastest at each of its two jobs."""
    best = {}
    for words in [[]] if args.quick else LLAMA_SETTINGS:
        found = peer("llama_cpp.py", weights, args, "--prompt", 512, "--generate", 64, *words)
        for key, figure in found.items():
            if key not in best or best[key][0] < figure[0]:
                best[key] = (figure[0], words)
    return {key: words for key, (_, words) in best.items()}


def generator_rows(plumb, name, args):
    weights = plumb.weights(name)
    settings = best_settings(weights, args)
    depths = [0, 512, 2048] if name == GENERATORS[0] else [0, 512]
    for depth in depths:
        ours, theirs = [], {"prompt": [], "generate": []}
        for _ in range(args.rounds):
            for key, words in settings.items():
                sizes = ["--prompt", max(depth, 1), "--generate", 64]
                theirs[key].append(peer("llama_cpp.py", weights, args, *sizes, *words))
            ours.append(plumb.generate(name, max(depth, 1), depth))
        for key, what in [("prompt", f"read {depth}"), ("generate", f"generate 64 at {depth}")]:
            if depth or key == "generate":
                setting = " " + " ".join(settings[key]).replace("--", "") if settings[key] else ""
                row(f"{name}, {what}", combine(ours, key), combine(theirs[key], key), setting)


def embedder_row(plumb, args):
    weights = plumb.weights(EMBEDDER)
    folder = weights if weights.is_dir() else weights.parent
    ours, torch, onnx = [], [], []
    for _ in range(args.rounds):
        torch.append(peer("embed_torch.py", folder, args))
        ours.append(plumb.embed(EMBEDDER))
        onnx.append(peer("embed_onnx.py", folder, args))
    what = f"{EMBEDDER}, embed 32 x 128"
    row(what, combine(ours, "embed"), combine(torch, "embed"), " PyTorch")
    row(what, combine(ours, "embed"), combine(onnx, "embed"), " ONNX Runtime")


def reranker_row(plumb, args):
    ours, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(peer("rerank_torch.py", args.reranker, args))
        ours.append(plumb.rerank(args.reranker))
    what = f"{args.reranker.name}, rerank 32 x 128"
    row(what, combine(ours, "rerank"), combine(theirs, "rerank"), " PyTorch")


def limits(plumb):
    found = plumb.json("bench", "kernels")
    most = found["limits"]
    print(f"\nLimits of the machine ({found['isa']}, {found['threads']} threads): "
          f"{most['f32_gflops']:.0f} Gflop/s, {most['int8_gops']:.0f} Gop/s of bytes, "
          f"reading {most['read_gb']:.0f} GB/s.\n")
    print("| product | weights read, of the limit | prompt, of the limit of bytes |\n|---|---|---|")
    for product in found["products"]:
        print(f"| {product['dtype']} | {product['read_gb']:.0f} GB/s ({product['read_share']:.0%}) "
              f"| {product['prompt_gops']:.0f} Gop/s ({product['prompt_share']:.0%}) |")
    print("\n| attention | speed | of the limit of floats |\n|---|---|---|")
    for attention in found["attention"]:
        print(f"| {attention['queries']} queries, {attention['positions']} positions "
              f"| {attention['gflops']:.0f} Gflop/s | {attention['share']:.0%} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plumb", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="llama.cpp's default settings only")
    parser.add_argument("--reranker", type=pathlib.Path, help="the folder of a cross-encoder")
    args = parser.parse_args()
    plumb = Plumb(args)
    print("| what, in tokens a second | plumb | peer | ratio |\n|---|---|---|---|")
    for name in GENERATORS:
        generator_rows(plumb, name, args)
    embedder_row(plumb, args)
    if args.reranker:
        reranker_row(plumb, args)
    limits(plumb)


if __name__ == "__main__":
    main()
