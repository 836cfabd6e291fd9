"""`plumb serve` and llama.cpp's server under the same load, in turn.

    python bench/serve/compare.py --plumb target/release/plumb --peer-python venv/bin/python \
        --out bench/results/serving [--rounds 3]

Both get the same file of weights, the same number of threads, eight sequences at
once, and the same prompts. One runs at a time; each round starts both anew.
Writes OUT.json with every figure of every round, and OUT.md, which it prints: the
medians of the rounds. The Python of the peer has `xllamacpp` installed.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from argparse import Namespace
from pathlib import Path

import load
import server


def weights(binary, model):
    """The file that `plumb model show` names."""
    shown = subprocess.run([binary, "model", "show", model, "--json"], capture_output=True, check=True)
    return json.loads(shown.stdout)["path"]


def measure(under_test, args, seed):
    """All steps on one server, with its memory before, between and after."""
    started = under_test.start()
    time.sleep(2)
    memory = {"idle": under_test.memory()}
    model = args.model if under_test.name == "plumb" else under_test.name
    asked = Namespace(**{**vars(args), "url": under_test.url, "model": model, "seed": seed})
    results = [asyncio.run(load.load(asked, *step)) for step in load.steps(args)]
    memory["loaded"] = under_test.memory()
    time.sleep(5)
    memory["after"] = under_test.memory()
    under_test.stop()
    return {"server": under_test.name, "start_seconds": round(started, 2), "memory": memory,
            "load": results}


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "?")
    return {"cpu": name, "cores": os.cpu_count(), "load_average_before": os.getloadavg()[0]}


def median(runs, path):
    values = []
    for run in runs:
        for key in path:
            run = run[key] if run is not None else None
        if run is not None:
            values.append(run)
    return statistics.median(values) if values else None


def shown(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def table(report):
    """The medians as Markdown."""
    of = {name: [run for run in report["runs"] if run["server"] == name]
          for name in ("plumb", "llama.cpp")}
    head = ["clients", "server", "requests", "failed or refused", "written tok/s", "all tok/s"]
    for what in ("first token ms", "each token ms", "longest gap ms"):
        head.append(f"{what} p50 / p95 / p99")
    rows = [head, ["---"] * len(head)]
    for place, (clients, _) in enumerate(report["steps"]):
        for name, runs in of.items():
            at = lambda *path: median(runs, ("load", place, *path))
            lost = sum(run["load"][place]["refused"] + sum(run["load"][place]["failed"].values())
                       for run in runs)
            triple = lambda what: " / ".join(shown(at(what, p)) for p in ("p50", "p95", "p99"))
            rows.append([str(clients), name, shown(at("succeeded")), str(lost),
                         shown(at("written_per_second")), shown(at("all_per_second")),
                         *(triple(what) for what in ("first_token_ms", "each_token_ms", "longest_gap_ms"))])
    memory = [["server", "start s", "idle RSS / PSS MB", "loaded RSS / PSS MB", "peak RSS MB"], ["---"] * 5]
    for name, runs in of.items():
        at = lambda *path: shown(median(runs, ("memory", *path)))
        both = lambda when: f"{at(when, 'rss_mb')} / {at(when, 'pss_mb')}"
        memory.append([name, shown(median(runs, ("start_seconds",))), both("idle"), both("loaded"),
                       at("after", "peak_rss_mb")])
    lines = lambda rows: "\n".join("| " + " | ".join(row) + " |" for row in rows)
    setting = report["setting"]
    about = (f"{setting['model']}, {setting['threads']} threads, eight sequences at once, prompts of "
             f"{setting['words']} pairs of words, {setting['tokens']} tokens a reply, medians of "
             f"{setting['rounds']} rounds; {report['machine']['cpu']}, {report['machine']['cores']} "
             f"cores, load average {report['machine']['load_average_before']:.1f} before.")
    return f"{about}\n\n{lines(rows)}\n\n{lines(memory)}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plumb", required=True)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--out", required=True, help="path of the results, without an ending")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--port", type=int, default=18321)
    load.arguments(parser)
    args = parser.parse_args()
    runs, before = [], machine()
    path = weights(args.plumb, args.model)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "plumb.toml").write_text(f"threads = {args.threads}\n")
        for number in range(args.rounds):
            seed = args.seed + number
            runs.append(measure(server.plumb(args.plumb, args.model, args.port, folder), args, seed))
            peer = server.llama_cpp(args.peer_python, path, args.port + 1, args.threads, folder)
            runs.append(measure(peer, args, seed))
    setting = {key: getattr(args, key) for key in ("model", "threads", "rounds", "words", "tokens")}
    report = {"setting": setting, "steps": load.steps(args), "machine": before, "runs": runs}
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    out.with_suffix(".md").write_text(table(report))
    print(table(report))


if __name__ == "__main__":
    main()
