"""llama.cpp's server on a model file, to be loaded beside `plumb serve`.

    pip install xllamacpp
    python bench/serve/peer.py FILE.gguf [PORT] [THREADS]

Eight slots, as `plumb serve` has, of 4,096 tokens each. Runs until it is
interrupted.
"""

import sys
import time

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.hostname = "127.0.0.1"
parameters.port = int(sys.argv[2]) if len(sys.argv) > 2 else 8322
parameters.n_parallel = 8
parameters.n_ctx = 8 * 4096
parameters.cpuparams.n_threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
while True:
    time.sleep(60)
