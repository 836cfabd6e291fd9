"""A soak of `plumb serve`: disconnects, malformed bodies, kills, memory.

    python bench/serve/soak.py --plumb target/release/plumb [--seconds 600] [--out soak]

Makes a project in a temporary folder, serves it, and lets clients do at random:
chat and questions to the documents, streams that they leave in the middle, bodies
that are no JSON or hold what nobody knows, prompts that are too long, uploads,
and turns of conversations. In the first part of the time the server is killed
(`kill -9`) now and then and started again; in the rest it is left alive, so that
its memory can be watched.

At the end every document whose upload was taken and every turn of a conversation
that was answered must be there, with the same words, each once; every job has
ended; nothing runs or waits; and stored answers replay to the byte. Memory is
judged from when the cache of prompts is full: it is flat if the median of the last
quarter of that time is at most a tenth above that of its first quarter. If the
cache was never full for long enough, the report says that it was not judged.
Writes OUT.json with everything, and OUT.md, which it prints. Exits with 1 if
anything of this is not so, if a good request failed while the server was alive, or
if a bad one was served.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from check import Ledger, gauge, verify
from clients import BROKEN, Client
from server import plumb

#: Of the time, before which the server may be killed.
KILLS_UNTIL = 0.5
#: Seconds of memory below which it is not judged.
MIN_WATCHED = 60
PAGE = "# Retention\n\nInvoices are kept for ten years.\nDrafts are deleted after 30 days.\n"


def project(binary, model, embedder, folder):
    """A small project, indexed."""
    settings = (f'name = "soak"\n[models]\ngenerator = "{model}"\nembedder = "{embedder}"\n'
                "[answer]\nthreshold = 0.2\n")
    (folder / "plumb.toml").write_text(settings)
    (folder / "docs").mkdir()
    (folder / "docs/retention.md").write_text(PAGE)
    subprocess.run([binary, "add", "docs", "--quiet"], cwd=folder, check=True, capture_output=True)


def killing(server, ledger, until, every, chance):
    """Kills the server now and then, and starts it again."""
    while True:
        time.sleep(chance.uniform(0.5, 1.5) * every)
        if until < time.monotonic():
            return
        with ledger.down:
            server.kill()
            ledger.deaths += 1
            ledger.restarts.append(round(server.start(), 2))


def watching(server, ledger, done, started):
    """Notes the memory every few seconds."""
    while not done.wait(2):
        try:
            sample = {**server.memory(), "cached_tokens": gauge(server, "plumb_cached_tokens")}
        except (*BROKEN, TypeError, AttributeError):
            continue  # It was just killed.
        ledger.memory.append({"at": round(time.monotonic() - started, 1), "life": ledger.deaths, **sample})


def flat(ledger, seconds):
    """Medians of the first and the last quarter of the memory of the last life,
    under load, from when the cache of prompts is full; none if that is too short."""
    life = [sample for sample in ledger.memory
            if sample["life"] == ledger.deaths and sample["at"] <= seconds]
    most = max((sample["cached_tokens"] for sample in life), default=0)
    full = next((sample["at"] for sample in life if 0.9 * most <= sample["cached_tokens"]), seconds)
    samples = [sample["rss_mb"] for sample in life if full <= sample["at"]]
    if seconds - full < MIN_WATCHED or len(samples) < 8:
        return None, None
    quarter = len(samples) // 4
    return statistics.median(samples[:quarter]), statistics.median(samples[-quarter:])


def soak(args, folder):
    project(args.plumb, args.model, args.embedder, folder)
    server = plumb(args.plumb, args.model, args.port, folder)
    start_seconds = server.start()
    ledger, done, started = Ledger(), threading.Event(), time.monotonic()
    idle = server.memory()
    until = started + args.seconds
    kills_until = started + KILLS_UNTIL * args.seconds
    clients = [Client(server.url, args.model, ledger, random.Random(args.seed + i), until)
               for i in range(args.clients)]
    threads = [threading.Thread(target=client.run) for client in clients]
    threads.append(threading.Thread(target=killing, args=(
        server, ledger, kills_until, args.seconds / 12, random.Random(args.seed))))
    watcher = threading.Thread(target=watching, args=(server, ledger, done, started))
    for thread in [*threads, watcher]:
        thread.start()
    for thread in threads:
        thread.join()
    findings = verify(server, ledger)
    done.set()
    watcher.join()
    early, late = flat(ledger, args.seconds)
    if early is not None and 1.1 * early < late:
        findings["memory_grew"] = [f"{early} to {late} MB"]
    if (status := server.stop()) != 0:
        findings["did_not_stop"] = [f"exit status {status}"]
    replayed = subprocess.run([args.plumb, "answer", "replay", "--all", "--json"], cwd=folder,
                              capture_output=True, text=True)
    answers = [json.loads(line) for line in replayed.stdout.splitlines()]
    findings["not_replayed"] = [a["answer_id"] for a in answers if not a["identical"]]
    if replayed.returncode not in (0, 1) or (answers == [] and ledger.counts["ask: 200"]):
        findings["not_replayed"].append(replayed.stderr[-300:])
    return {
        "seconds": args.seconds, "clients": args.clients, "start_seconds": round(start_seconds, 2),
        "kills": ledger.deaths, "restart_seconds": ledger.restarts,
        "requests": dict(sorted(ledger.counts.items())),
        "documents_taken": len(ledger.documents), "turns_answered": len(ledger.turns),
        "answers_replayed": len(answers), "idle": idle,
        "memory_early_mb": early, "memory_late_mb": late, "memory": ledger.memory,
        "findings": {name: found for name, found in findings.items() if found},
    }


def summary(report):
    """What matters, as Markdown."""
    total = sum(report["requests"].values())
    rows = [("seconds, clients", f"{report['seconds']:.0f}, {report['clients']}"),
            ("requests", f"{total:,}"),
            ("kills (`kill -9`) and restarts", f"{report['kills']}, ready again after "
             f"{max(report['restart_seconds'], default=0):.1f} s at most"),
            ("documents taken and found again", f"{report['documents_taken']:,}"),
            ("turns of conversations answered and found again", f"{report['turns_answered']:,}"),
            ("answers replayed to the byte", f"{report['answers_replayed']:,}"),
            ("memory (RSS), idle", f"{report['idle']['rss_mb']:.0f} MB"),
            ("memory (RSS) when the cache of prompts was full, and at the end",
             "not judged: it was not full for long enough" if report["memory_early_mb"] is None else
             f"{report['memory_early_mb']:.0f} and {report['memory_late_mb']:.0f} MB"),
            ("findings", json.dumps(report["findings"]) if report["findings"] else "none")]
    kinds = [f"| {kind} | {count:,} |" for kind, count in report["requests"].items()]
    lines = ["| what | |", "|---|---|", *(f"| {what} | {found} |" for what, found in rows), "",
             "| requests of a kind, and the outcome | |", "|---|---|", *kinds, ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plumb", required=True)
    parser.add_argument("--out", default="soak", help="path of the results, without an ending")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--embedder", default="all-minilm-l6-v2")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=18331)
    args = parser.parse_args()
    args.plumb = str(Path(args.plumb).resolve())
    with tempfile.TemporaryDirectory() as folder:
        report = soak(args, Path(folder))
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    out.with_suffix(".md").write_text(summary(report))
    print(summary(report))
    sys.exit(1 if report["findings"] else 0)


if __name__ == "__main__":
    main()
