"""Load on an OpenAI-compatible server: 1, 8 and 64 clients at once.

    python bench/serve/load.py URL MODEL [--clients 1,8,64] [--requests 4] [--tokens 64]

Each client sends its requests one after the other, on loopback, and streams
the replies. Prints a line of JSON for each number of clients: requests that
succeeded and failed, tokens a second of all clients together, and the time to
the first token and between tokens at the 50th, 95th and 99th percentile, in
milliseconds. Every prompt begins differently, so that none is cached. Run it
against `plumb serve` and against the peer (`peer.py`) in turn.
"""

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

TOPICS = ["rivers", "clocks", "bread", "maps", "bees", "glass", "tides", "paper"]


async def one(host, port, model, tokens, number):
    """One streamed reply: (time to first token, gaps, pieces), or None."""
    words = " ".join(f"{TOPICS[(number + i) % 8]} {number * 31 + i}" for i in range(60))
    body = json.dumps({
        "model": model, "stream": True, "max_tokens": tokens, "temperature": 0,
        "messages": [{"role": "user", "content": f"{number}: tell me of {words}."}],
    }).encode()
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head + body)
    await writer.drain()
    times = []
    is_ok = b" 200 " in await reader.readline()
    async for line in reader:
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            if any((c.get("delta") or {}).get("content") for c in event.get("choices", [])):
                times.append(time.perf_counter())
    writer.close()
    if not is_ok or not times:
        return None
    return times[0] - started, [b - a for a, b in zip(times, times[1:])], len(times)


def percentiles(values):
    values = sorted(values)
    at = lambda p: round(1000 * values[min(len(values) - 1, int(p * len(values)))], 1)
    return {f"p{p}": at(p / 100) for p in (50, 95, 99)} if values else None


async def load(args, clients):
    url = urlsplit(args.url)
    started = time.perf_counter()

    async def client(index):
        results = []
        for i in range(args.requests):
            number = clients * 100_000 + index * args.requests + i
            results.append(await one(url.hostname, url.port, args.model, args.tokens, number))
        return results

    results = sum(await asyncio.gather(*(client(i) for i in range(clients))), [])
    seconds = time.perf_counter() - started
    done = [result for result in results if result]
    return {
        "clients": clients, "succeeded": len(done), "failed": len(results) - len(done),
        "seconds": round(seconds, 2),
        "pieces_per_second": round(sum(pieces for *_, pieces in done) / seconds, 1),
        "first_token_ms": percentiles([first for first, *_ in done]),
        "between_tokens_ms": percentiles([gap for _, gaps, _ in done for gap in gaps]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=64)
    args = parser.parse_args()
    for clients in map(int, args.clients.split(",")):
        print(json.dumps(asyncio.run(load(args, clients))), flush=True)


main()
