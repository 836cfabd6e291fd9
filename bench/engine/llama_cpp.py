#!/usr/bin/env python3
"""Speed of llama.cpp on a GGUF file: prompt reading and generation.

    pip install xllamacpp
    ./llama_cpp.py MODEL.gguf [--prompt 512] [--generate 64] [--threads 2] [--runs 5]
                   [--flash-attention auto|on|off] [--no-repack]

Runs llama.cpp's server in this process and asks it for completions of token
lists, without its cache of prompts; the figures are the server's own timings.
Run it in turn with `plumb bench generate` on a machine that does nothing else.
"""
import argparse
import json
import statistics
import urllib.request

import xllamacpp


FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--flash-attention", choices=FLASH_ATTENTION, default="auto")
    parser.add_argument("--no-repack", action="store_true")
    args = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.n_ctx = args.prompt + args.generate + 64
    params.n_parallel = 1
    params.verbosity = -1
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    params.warmup = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type(FLASH_ATTENTION[args.flash_attention])
    params.no_extra_bufts = args.no_repack
    server = xllamacpp.Server(params)
    rates = {"prompt": [], "generate": []}
    for run in range(args.runs + 1):
        tokens = [1000 + (i * 37 + run) % 20000 for i in range(args.prompt)]
        body = {"prompt": tokens, "n_predict": args.generate, "ignore_eos": True, "cache_prompt": False}
        request = urllib.request.Request(
            server.listening_address + "/completion",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        reply = json.load(urllib.request.urlopen(request))
        if run:
            rates["prompt"].append(reply["timings"]["prompt_per_second"])
            rates["generate"].append(reply["timings"]["predicted_per_second"])
    for name, values in rates.items():
        print(f"{name} {statistics.median(values):.1f} tok/s ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
