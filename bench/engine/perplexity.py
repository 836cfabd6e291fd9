#!/usr/bin/env python3
"""Perplexity of a text by `plumb` and by llama.cpp, token by token on the same ids.

    pip install xllamacpp
    ./perplexity.py --plumb target/release/plumb MODEL TEXT [--tokens 400] [--golden FILE]

llama.cpp's server tells no probabilities of a prompt: it is asked for the token
after each beginning of the text, with the log-probabilities of the whole
vocabulary. MODEL is a name of the catalogue with a GGUF file. --golden writes what
llama.cpp found, for the tests.
"""
import argparse
import importlib.metadata
import json
import math
import subprocess
import urllib.request

import xllamacpp


def plumb(args, *words):
    command = [args.plumb, *words, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--plumb", required=True)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--golden")
    args = parser.parse_args()
    weights = plumb(args, "model", "show", args.model)["path"]
    with open(args.text, encoding="utf-8") as file:
        text = file.read()
    # The ids are those that both read; the tests hold them to be the peer's own.
    tokens = plumb(args, "model", "logits", args.model, "--packed", "--prompt", text[: 8 * args.tokens])
    tokens = tokens["tokens"][: args.tokens]

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.n_ctx = args.tokens + 64
    params.n_parallel = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)
    total = 0.0
    for count in range(1, len(tokens)):
        body = {"prompt": tokens[:count], "n_predict": 1, "temperature": 0, "n_probs": 1 << 20,
                "cache_prompt": True, "ignore_eos": False}
        request = urllib.request.Request(
            server.listening_address + "/completion",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        reply = json.load(urllib.request.urlopen(request))
        found = {entry["id"]: entry["logprob"] for entry in reply["completion_probabilities"][0]["top_logprobs"]}
        total += found[tokens[count]]
    theirs = math.exp(-total / (len(tokens) - 1))
    if args.golden:
        case = {"ids": tokens, "perplexity": round(theirs, 6)}
        made_with = {"xllamacpp": importlib.metadata.version("xllamacpp")}
        with open(args.golden, "w", encoding="utf-8") as file:
            json.dump({"made_with": made_with, "model": args.model, "cases": [case]}, file)
            file.write("\n")
    words = ["--text", args.text, "--tokens", str(args.tokens), "--window", str(args.tokens), "--exact"]
    ours = plumb(args, "bench", "perplexity", args.model, *words)
    exact = ours["exact"]
    print(f"{args.model}, {ours['scored']} tokens: llama.cpp {theirs:.4f}, "
          f"plumb {ours['perplexity']:.4f} ({ours['perplexity'] / theirs - 1:+.3%}), "
          f"in floats {exact['perplexity']:.4f} ({exact['perplexity'] / theirs - 1:+.3%}); "
          f"divergence from floats {exact['mean_divergence']:.6f} nats, "
          f"same likeliest token {exact['same_likeliest']:.2%}")


if __name__ == "__main__":
    main()
