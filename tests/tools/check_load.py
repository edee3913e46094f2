#!/usr/bin/env python3
"""200 streams at once from 20 requests against a running `moge serve --served-model-name small`.

    python3 tests/tools/check_load.py http://127.0.0.1:8080 PID
"""
import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit

address, pid = urlsplit(sys.argv[1]).netloc, sys.argv[2]
REQUESTS = [dict(model="small", prompt=f"Tom has {i} apples" + " and more" * (i % 5), stream=True,
                 max_tokens=12 + i, temperature=0.8 * (i % 2), seed=i) for i in range(20)]


def status(field):
    with open(f"/proc/{pid}/status") as lines:
        return int(next(line for line in lines if line.startswith(field + ":")).split()[1])


def stream(request):
    connection = http.client.HTTPConnection(address, timeout=120)
    connection.request("POST", "/v1/completions", json.dumps(request), {"Content-Type": "application/json"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200 and body.endswith("data: [DONE]\n\n"), (response.status, body[-200:])
    events = [json.loads(e[6:]) for e in body.split("\n\n") if e.startswith("data: {")]
    return "".join(c["text"] for e in events for c in e["choices"])


alone = [stream(r) for r in REQUESTS]
assert sum(map(len, alone)) > 20, f"the answers are nearly empty: {alone}"
threads, start = status("Threads"), time.monotonic()
barrier = Barrier(200)


def together(i):
    barrier.wait()
    return stream(REQUESTS[i % 20])


with ThreadPoolExecutor(200) as pool:
    running = [pool.submit(together, i) for i in range(200)]
    time.sleep(0.3)
    during = status("Threads")
    answers = [r.result() for r in running]
seconds = time.monotonic() - start
different = sum(answer != alone[i % 20] for i, answer in enumerate(answers))
assert different == 0, f"{different} of 200 answers differ from their lone runs"
assert during == threads == status("Threads"), (threads, during, status("Threads"))
print(f"200 streams in {seconds:.1f} s, each as alone; {threads} threads throughout; "
      f"memory {status('VmRSS') >> 10} MiB, at most {status('VmHWM') >> 10} MiB")
