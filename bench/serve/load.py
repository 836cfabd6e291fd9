"""Load on an OpenAI-compatible server: some number of clients at once.

    python bench/serve/load.py URL MODEL [--clients 1,8,64] [--requests 4] [--tokens 64]

Each client sends its requests one after the other, on loopback, and streams the
replies. Prints a line of JSON for each number of clients: requests that
succeeded, failed and were refused with 429, tokens that the server says it read
and wrote, tokens a second of all clients together, the time to the first token,
the time for each token after it (of a whole reply: from its first token to its
last, divided by the tokens between), and the longest silence within each reply,
at the 50th, 95th and 99th percentile in milliseconds.

Every prompt begins differently, so that no server has read it before, and the
tokens that end a reply are banned (`--ban`, those of SmolLM2), so that every
server writes the same number of tokens.
"""

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

TOPICS = ["rivers", "clocks", "bread", "maps", "bees", "glass", "tides", "paper"]


def prompt(number, words):
    named = " ".join(f"{TOPICS[(number + i) % 8]} {number * 31 + i}" for i in range(words))
    return f"{number}: tell me a long story of {named}."


async def one(host, port, body):
    """One streamed reply: what came and when, or the status that refused it."""
    data = json.dumps(body).encode()
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n").encode()
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    writer.write(head + data)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    times, usage, is_whole = [], {}, False
    async for line in reader:
        if line.startswith(b"data: [DONE]"):
            is_whole = True
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        usage = event.get("usage") or usage
        if any((choice.get("delta") or {}).get("content") for choice in event.get("choices", [])):
            times.append(time.perf_counter())
    writer.close()
    is_ok = status == 200 and is_whole and len(times) > 1
    written = usage.get("completion_tokens", 0)
    if not is_ok or not written:
        return {"status": status if status != 200 else "broken"}
    gaps = [b - a for a, b in zip(times, times[1:])]
    return {"status": 200, "first": times[0] - started, "gap": max(gaps),
            "each": (times[-1] - times[0]) / (written - 1),
            "read": usage["prompt_tokens"], "written": written}


def percentiles(values):
    values = sorted(values)
    at = lambda p: round(1000 * values[min(len(values) - 1, int(p * len(values)))], 1)
    return {f"p{p}": at(p / 100) for p in (50, 95, 99)} if values else None


async def load(args, clients, requests):
    url = urlsplit(args.url)

    async def client(index):
        results = []
        for i in range(requests):
            number = args.seed * 1_000_000 + clients * 10_000 + index * requests + i
            body = {"model": args.model, "stream": True, "max_tokens": args.tokens,
                    "temperature": 0, "stream_options": {"include_usage": True},
                    "logit_bias": {token: -100 for token in args.ban.split(",") if token},
                    "messages": [{"role": "user", "content": prompt(number, args.words)}]}
            try:
                results.append(await one(url.hostname, url.port, body))
            except (OSError, ValueError, IndexError) as error:
                results.append({"status": type(error).__name__})
        return results

    started = time.perf_counter()
    results = sum(await asyncio.gather(*(client(i) for i in range(clients))), [])
    seconds = time.perf_counter() - started
    done = [result for result in results if result["status"] == 200]
    failed = [str(result["status"]) for result in results if result["status"] != 200]
    total = lambda field: sum(result[field] for result in done)
    return {
        "clients": clients, "succeeded": len(done), "refused": failed.count("429"),
        "failed": {status: failed.count(status) for status in set(failed) - {"429"}},
        "seconds": round(seconds, 2), "tokens_read": total("read"), "tokens_written": total("written"),
        "written_per_second": round(total("written") / seconds, 1),
        "all_per_second": round((total("read") + total("written")) / seconds, 1),
        "first_token_ms": percentiles([result["first"] for result in done]),
        "each_token_ms": percentiles([result["each"] for result in done]),
        "longest_gap_ms": percentiles([result["gap"] for result in done]),
    }


def arguments(parser):
    """What a load is."""
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--requests", default="8,4,2", help="of each client, for each number of them")
    parser.add_argument("--tokens", type=int, default=64, help="of each reply")
    parser.add_argument("--words", type=int, default=20, help="pairs of words in a prompt")
    parser.add_argument("--ban", default="0,2", help="tokens that end a reply")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other prompts")


def steps(args):
    """Numbers of clients, and how many requests each sends."""
    clients = [int(number) for number in args.clients.split(",")]
    requests = [int(number) for number in args.requests.split(",")]
    return list(zip(clients, requests * len(clients) if len(requests) == 1 else requests))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("model")
    arguments(parser)
    args = parser.parse_args()
    for clients, requests in steps(args):
        print(json.dumps(asyncio.run(load(args, clients, requests))), flush=True)


if __name__ == "__main__":
    main()
