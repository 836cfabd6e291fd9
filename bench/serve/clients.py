"""What the clients of a soak do, at random."""

import json
import socket
import time
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

#: What is done, and how often beside the rest.
KINDS = {"chat": 3, "large": 1, "ask": 2, "turn": 2, "upload": 1, "leave": 4, "no json": 1, "field": 1,
         "no such model": 1, "too long": 1, "not utf-8": 1, "deep": 1, "wrong type": 1}
#: Statuses that are right, where it is not 200. Beside them, a server that is full says 429.
WANTED = {"upload": {202}, "no such model": {404}, "no json": {400}, "field": {400}, "too long": {400},
          "not utf-8": {400}, "deep": {400}, "wrong type": {400}}
BROKEN = (URLError, OSError, HTTPException, ValueError)


class Client:
    """One client, in a thread of its own."""

    def __init__(self, url, model, ledger, chance, until):
        self.url, self.model, self.ledger = url, model, ledger
        self.chance, self.until = chance, until
        self.conversation = None

    def run(self):
        kinds, weights = zip(*KINDS.items())
        while time.monotonic() < self.until:
            kind = self.chance.choices(kinds, weights)[0]
            deaths = self.ledger.deaths
            try:
                outcome = self.do(kind)
            except HTTPError as error:
                outcome = error.code
            except BROKEN as error:
                outcome = type(error).__name__
            with self.ledger.down:
                # A request that a kill cut off may fail.
                was_killed = self.ledger.deaths != deaths
            if was_killed and outcome not in (200, 202, 429):
                outcome = "killed"
            self.ledger.count(kind, outcome, WANTED.get(kind, {200, "left"}) | {429, "killed"})

    def do(self, kind):
        """Does one thing, and gives the status."""
        if kind == "leave":
            return self.leave()
        if kind == "upload":
            return self.upload()
        if kind == "turn":
            return self.turn()
        if kind == "ask":
            body = {"question": self.question(), "stream": False}
            return self.post("/api/v1/ask", json.dumps(body).encode())[0]
        good = {"chat": self.chat, "large": self.large}
        return self.post("/v1/chat/completions", good[kind]() if kind in good else self.bad(kind))[0]

    def question(self):
        topic = self.chance.choice(["invoices", "drafts", "cats", f"parcel {self.chance.randint(1, 999)}"])
        return f"For how long are {topic} kept?"

    def chat(self, **more):
        body = {"model": self.model, "max_tokens": self.chance.randint(1, 40),
                "messages": [{"role": "user", "content": f"Tell me of {self.chance.random()}."}]}
        return json.dumps({**body, **more}).encode()

    def large(self):
        """A prompt that no other begins like, of some 1,500 tokens."""
        words = " ".join(f"{self.chance.random():.3f}" for _ in range(250))
        return self.chat(max_tokens=1, messages=[{"role": "user", "content": words}])

    def bad(self, kind):
        long = [{"role": "user", "content": "a b " * 9000}]
        return {
            "no json": lambda: self.chat()[:-9],
            "field": lambda: self.chat(surprise=1),
            "no such model": lambda: self.chat(model="none"),
            "too long": lambda: self.chat(messages=long),
            "not utf-8": lambda: self.chat().replace(b"Tell", b"\xff\xfe"),
            "deep": lambda: b'{"model": "x", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
            "wrong type": lambda: self.chat(messages={"role": 7}),
        }[kind]()

    def post(self, path, data, kind="application/json"):
        request = Request(self.url + path, data, {"content-type": kind})
        with urlopen(request, timeout=300) as response:
            return response.status, response.read()

    def leave(self):
        """Sends some of a request, reads some of the stream, and goes."""
        at, data = urlsplit(self.url), self.chat(stream=True)
        if self.chance.random() < 0.3:
            path, data = "/api/v1/ask", json.dumps({"question": self.question()}).encode()
        else:
            path = "/v1/chat/completions"
        with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
            head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n").encode()
            connection.sendall(head + data[: self.chance.choice([len(data), len(data) // 2])])
            connection.settimeout(self.chance.uniform(0.01, 1.0))
            try:
                connection.recv(self.chance.choice([1, 400, 4000]))
            except TimeoutError:
                pass
        return "left"

    def upload(self):
        """Sends a page that no other is like."""
        number = self.ledger.next()
        text = f"# Parcel {number}\n\nThe code of parcel {number} is {self.chance.getrandbits(64):016x}.\n"
        name = f"parcel-{number}.md"
        body = (f'--XX\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
                f"{text}\r\n--XX--\r\n").encode()
        status, reply = self.post("/api/v1/documents", body, "multipart/form-data; boundary=XX")
        self.ledger.documents[name] = text
        self.ledger.jobs.append(json.loads(reply)["job"]["id"])
        return status

    def turn(self):
        """Asks within a conversation."""
        if self.conversation is None or self.chance.random() < 0.1:
            _, made = self.post("/api/v1/conversations", b"{}")
            self.conversation = json.loads(made)["id"]
        body = {"conversation": self.conversation, "question": self.question(), "stream": False}
        status, reply = self.post("/api/v1/ask", json.dumps(body).encode())
        reply = json.loads(reply)
        self.ledger.turns.append((self.conversation, reply["messages"]))
        return status
