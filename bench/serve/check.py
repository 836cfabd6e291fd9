"""What a soak remembers, and whether the server remembers it too."""

import json
import re
import threading
import time
from collections import Counter
from urllib.request import urlopen


class Ledger:
    """What was sent and what came of it; threads share it."""

    def __init__(self):
        self.counts, self.wrong = Counter(), []
        #: Held while the server is dead.
        self.down = threading.Lock()
        self.deaths, self.restarts, self.memory = 0, [], []
        #: Uploads that were taken, by name; their jobs; turns that were answered.
        self.documents, self.jobs, self.turns = {}, [], []
        self._lock, self._number = threading.Lock(), 0

    def next(self):
        with self._lock:
            self._number += 1
            return self._number

    def count(self, kind, outcome, wanted):
        with self._lock:
            self.counts[f"{kind}: {outcome}"] += 1
            if outcome not in wanted:
                self.wrong.append(f"{kind}: {outcome}")


def read(server, path):
    with urlopen(server.url + path, timeout=120) as response:
        return json.loads(response.read())


def gauge(server, name):
    with urlopen(server.url + "/metrics", timeout=60) as response:
        text = response.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def verify(server, ledger):
    """Everything that is not as it should be, by kind."""
    return {
        "wrong_outcomes": sorted(set(ledger.wrong)),
        "jobs_not_done": unfinished(server, ledger),
        "documents_lost": lost_documents(server, ledger),
        "turns_lost": lost_turns(server, ledger),
        "still_running": busy(server),
    }


def unfinished(server, ledger):
    """Jobs that were taken and did not end well."""
    found = []
    for job in ledger.jobs:
        for _ in range(600):
            state = read(server, f"/api/v1/jobs/{job}")["state"]
            if state not in ("queued", "running"):
                break
            time.sleep(0.2)
        if state != "done":
            found.append(f"{job}: {state}")
    return found


def lost_documents(server, ledger):
    """Uploads that were taken and are not there, not whole, or twice."""
    listed, found, after = {}, [], ""
    while True:
        page = read(server, f"/api/v1/documents?limit=100{after}")
        for document in page["documents"]:
            listed.setdefault(document["name"], []).append(document["id"])
        if not page["documents"] or len(page["documents"]) < 100:
            break
        after = f"&offset={sum(map(len, listed.values()))}"
    for name, text in ledger.documents.items():
        ids = listed.get(name, [])
        if len(ids) != 1:
            found.append(f"{name}: {len(ids)} times")
        elif read(server, f"/api/v1/documents/{ids[0]}/text")["text"] != text:
            found.append(f"{name}: other words")
    return found


def lost_turns(server, ledger):
    """Turns that were answered and are not there, or not once."""
    found, known = [], {}
    for conversation, messages in ledger.turns:
        if conversation not in known:
            stored = read(server, f"/api/v1/conversations/{conversation}")["items"]
            known[conversation] = {message["id"]: message for message in stored}
            if len(known[conversation]) != len(stored) or len(stored) % 2:
                found.append(f"{conversation}: half a turn")
        for message in messages:
            kept = known[conversation].get(message["id"])
            if kept is None or kept["content"] != message["content"]:
                found.append(f"{conversation}: {message['id']}")
    return found


def busy(server):
    """What still runs or waits, some time after the last request."""
    for _ in range(50):
        left = gauge(server, "plumb_running") + gauge(server, "plumb_waiting")
        if left == 0:
            return []
        time.sleep(0.2)
    return [f"{left:.0f} requests"]
