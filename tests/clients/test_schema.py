"""Requests made up from the OpenAPI document: no answer is a server error."""

import os
import subprocess
import sys
from pathlib import Path


def test_no_request_that_the_document_allows_breaks_the_server():
    url = os.environ["PLUMB_URL"]
    schemathesis = Path(sys.executable).with_name("schemathesis")
    # Each of these would change what the other tests use, or fetch a model.
    words = [schemathesis, "run", f"{url}/openapi.json", "--url", url]
    words += ["--checks", "not_a_server_error", "--max-examples", "20", "--request-timeout", "120"]
    words += ["--exclude-path-regex", "pull|keys"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
