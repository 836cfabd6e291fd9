"""Holds every panel of docs/grafana/plumb.json against a real server.

Starts `plumb serve` on a project of its own, lets a real Prometheus scrape it
while requests of all kinds are made, and evaluates each panel's expressions
through Prometheus' HTTP API. Each must give data. Exits with 1 if one does not.

    python3 bench/serve/dashboard.py --plumb target/release/plumb \
        --prometheus /usr/bin/prometheus --model smollm2-135m-instruct
"""

import argparse
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "# Retention\n\nInvoices are kept for ten years.\n\n# Pets\n\nThree cats live in the office.\n"


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes traces and forgets them."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def free_port():
    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        return server.server_port


def ask(url, body=None, key=None, timeout=120):
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_for(what, is_so, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if is_so():
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"never: {what}")


def requests(url, keys, model):
    """One round of everything that a panel counts."""
    key, narrow = keys
    chat = {"model": model, "messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 16}
    ask(f"{url}/v1/chat/completions", chat, key)
    ask(f"{url}/v1/chat/completions", {**chat, "stream": True}, key)
    ask(f"{url}/api/v1/ask", {"question": "For how long are invoices kept?", "stream": False}, key)
    ask(f"{url}/v1/embeddings", {"model": "all-minilm-l6-v2", "input": "a colour"}, key)
    ask(f"{url}/api/v1/search", {"query": "cats"}, key)
    ask(f"{url}/v1/chat/completions", {**chat, "model": "none"}, key)
    ask(f"{url}/v1/chat/completions", chat, narrow)
    # Goes before the end.
    host = urllib.parse.urlparse(url)
    body = json.dumps({**chat, "max_tokens": 400, "stream": True}).encode()
    import socket

    with socket.create_connection((host.hostname, host.port)) as connection:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host.netloc}\r\n"
            f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        connection.recv(2000)


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            yield panel["title"], target["legendFormat"], expression


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plumb", default=ROOT / "target/release/plumb", type=pathlib.Path)
    parser.add_argument("--prometheus", default="prometheus")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--seconds", default=40, type=int, help="how long requests are made")
    args = parser.parse_args()
    plumb = args.plumb.resolve()
    dashboard = json.loads((ROOT / "docs/grafana/plumb.json").read_text())
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            failed = check(args, plumb, folder, dashboard, collector.server_port, processes)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
                process.wait()
    sys.exit(1 if failed else 0)


def check(args, plumb, folder, dashboard, collector, processes):
    port, web = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    settings = f'[models]\ngenerator = "{args.model}"\n[serve]\nlisten = "127.0.0.1:{port}"\n'
    (folder / "plumb.toml").write_text(settings)
    (folder / "docs").mkdir()
    (folder / "docs/retention.md").write_text(PAGE)

    def verb(*arguments):
        done = subprocess.run([plumb, *arguments], cwd=folder, check=True, capture_output=True)
        return json.loads(done.stdout)

    verb("add", "docs", "--json")
    key = verb("key", "create", "--name", "all", "--json")["secret"]
    narrow = verb("key", "create", "--name", "narrow", "--requests-per-minute", "1", "--json")["secret"]
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}", "OTEL_BSP_SCHEDULE_DELAY": "1000"}
    log = open(folder / "log", "w")
    server = subprocess.Popen([plumb, "serve"], cwd=folder, env=environment, stdout=log, stderr=log)
    processes.append(server)
    wait_for("a server that is ready", lambda: ask(f"{url}/ready")[0] == 200)
    scrape = {
        "global": {"scrape_interval": "2s"},
        "scrape_configs": [{
            "job_name": "plumb",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            "authorization": {"credentials": key},
        }],
    }
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(scrape))
    prometheus = subprocess.Popen(
        [args.prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{web}"],
        stdout=log, stderr=log,
    )
    processes.append(prometheus)
    wait_for("a Prometheus that is ready", lambda: ask(f"http://127.0.0.1:{web}/-/ready")[0] == 200)
    end = time.monotonic() + args.seconds
    rounds = 0
    while time.monotonic() < end or rounds < 3:
        requests(url, (key, narrow), args.model)
        rounds += 1
        (folder / "plumb.toml").write_text(f"{settings}drain_seconds = {20 + rounds}\n")
        server.send_signal(signal.SIGHUP)
    time.sleep(5)
    failed = 0
    for title, legend, expression in expressions(dashboard):
        query = urllib.parse.urlencode({"query": expression})
        status, body = ask(f"http://127.0.0.1:{web}/api/v1/query?{query}")
        reply = json.loads(body)
        result = reply.get("data", {}).get("result", [])
        values = [float(series["value"][1]) for series in result]
        numbers = [value for value in values if value == value]
        is_good = status == 200 and bool(numbers)
        failed += not is_good
        shown = ", ".join(f"{value:.4g}" for value in numbers[:4]) if is_good else reply.get("error", "no data")
        print(f"{'ok  ' if is_good else 'FAIL'} {title} / {legend}: {len(numbers)} series: {shown}")
    print(f"{rounds} rounds of requests; {failed} expressions without data")
    return failed


if __name__ == "__main__":
    main()
