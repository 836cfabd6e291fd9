"""A soak of an OpenAI-compatible server: disconnects, malformed bodies, memory.

    python bench/serve/soak.py URL MODEL [--seconds 600] [--clients 8] [--seed 1]

Clients send requests at random: whole ones, streams that they leave in the
middle, bodies that are no JSON, unknown fields and models, prompts that are
too long. Prints one line of JSON: what came of them, the memory of the process
after the first tenth and at the end, and what still runs. Exits with 1 if a
good request failed, a bad one was served, or something still runs at the end.
"""

import argparse
import json
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen


def post(url, data):
    try:
        request = Request(f"{url}/v1/chat/completions", data, {"content-type": "application/json"})
        return urlopen(request, timeout=300).status
    except HTTPError as error:
        return error.code


def leave(url, data, chance):
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port)) as connection:
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                f"\r\nContent-Length: {len(data)}\r\n\r\n").encode()
        connection.sendall(head + data[: chance.choice([len(data), len(data) // 2])])
        connection.settimeout(chance.uniform(0.01, 1.0))
        try:
            connection.recv(chance.choice([1, 400]))
        except TimeoutError:
            pass


def client(url, model, until, seed, counts, wrong):
    chance = random.Random(seed)
    while time.time() < until:
        body = {"model": model, "max_tokens": chance.randint(1, 40),
                "messages": [{"role": "user", "content": f"Tell me of {chance.random()}."}]}
        kind = chance.choice(["good", "good", "left", "left", "no json", "field", "model", "long"])
        if kind == "left":
            leave(url, json.dumps({**body, "stream": True}).encode(), chance)
            counts[kind] += 1
            continue
        data = {
            "no json": lambda: json.dumps(body)[:-9],
            "field": lambda: json.dumps({**body, "surprise": 1}),
            "model": lambda: json.dumps({**body, "model": "none"}),
            "long": lambda: json.dumps({**body, "messages": [{"role": "user", "content": "a b " * 9000}]}),
        }.get(kind, lambda: json.dumps(body))()
        status = post(url, data.encode())
        counts[f"{kind}: {status}"] += 1
        wanted = {"good": (200, 429), "model": (404, 429)}.get(kind, (400, 429))
        if status not in wanted:
            wrong.append(f"{kind}: {status}")


def gauge(url, name):
    text = urlopen(f"{url}/metrics", timeout=60).read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    counts, wrong, until = Counter(), [], time.time() + args.seconds
    threads = [
        threading.Thread(target=client, args=(args.url, args.model, until, args.seed + i, counts, wrong))
        for i in range(args.clients)
    ]
    for thread in threads:
        thread.start()
    time.sleep(args.seconds / 10)
    early = gauge(args.url, "process_resident_memory_bytes")
    for thread in threads:
        thread.join()
    time.sleep(2)
    left = gauge(args.url, "plumb_running") + gauge(args.url, "plumb_waiting")
    late = gauge(args.url, "process_resident_memory_bytes")
    print(json.dumps({"requests": dict(sorted(counts.items())), "wrong": wrong, "still_running": left,
                      "memory_early": early, "memory_late": late}))
    sys.exit(1 if wrong or left else 0)


main()
