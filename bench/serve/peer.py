"""llama.cpp's server on a model file, to be loaded beside `plumb serve`.

    pip install xllamacpp
    python bench/serve/peer.py FILE.gguf [PORT] [THREADS]

Eight slots, as `plumb serve` has, of 4,096 tokens each, and a thread for each
connection of the largest load. Everything else is as llama.cpp has it, the cache
of prompts in memory included. Runs until it is ended.
"""

import signal
import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
if hasattr(parameters, "hostnames"):
    parameters.hostnames = ["127.0.0.1"]
else:
    parameters.hostname = "127.0.0.1"
parameters.port = int(sys.argv[2]) if len(sys.argv) > 2 else 8322
parameters.n_parallel = 8
parameters.n_ctx = 8 * 4096
parameters.n_threads_http = 72
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
parameters.cpuparams.n_threads = threads
parameters.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
