"""Servers under test as processes: start, readiness, memory, end."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent


class Server:
    """A server that runs. `command` is given the port to listen on."""

    def __init__(self, name, command, port, ready, folder):
        self.name, self.command, self.port, self.folder = name, command, port, folder
        self.url = f"http://127.0.0.1:{port}"
        self.ready = self.url + ready
        self.log = open(folder / f"{name}.log", "ab")
        self.process = None

    def start(self, patience=300):
        """Starts it, and waits until it serves. Gives the seconds that took."""
        started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, stdout=self.log, stderr=self.log
        )
        while time.monotonic() - started < patience:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}: see {self.log.name}")
            try:
                if urlopen(self.ready, timeout=5).status == 200:
                    return time.monotonic() - started
            except (URLError, OSError):
                pass
            time.sleep(0.05)
        sys.exit(f"{self.name} is not ready after {patience} s: see {self.log.name}")

    def memory(self):
        """Resident and proportional set size and the most that was resident, in
        MB (10^6 bytes)."""
        proc = Path(f"/proc/{self.process.pid}")
        rollup = (proc / "smaps_rollup").read_text()
        status = (proc / "status").read_text()
        kb = lambda text, field: int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1])
        mb = lambda value: round(value * 1024 / 1e6, 1)
        return {"rss_mb": mb(kb(rollup, "Rss")), "pss_mb": mb(kb(rollup, "Pss")),
                "anonymous_mb": mb(kb(rollup, "Anonymous")), "peak_rss_mb": mb(kb(status, "VmHWM"))}

    def kill(self):
        """Ends it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Asks it to end, and gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


def plumb(binary, model, port, folder):
    """`plumb serve` of `model`, and of the project if there is one in `folder`."""
    binary = shutil.which(binary) or sys.exit(f"there is no program `{binary}`")
    listen = f"127.0.0.1:{port}"
    command = [str(Path(binary).resolve()), "serve", "--model", model, "--listen", listen]
    return Server("plumb", command, port, "/ready", folder)


def llama_cpp(python, weights, port, threads, folder):
    """llama.cpp's server on the same file."""
    command = [python, str(HERE / "peer.py"), str(weights), str(port), str(threads)]
    return Server("llama.cpp", command, port, "/health", folder)
