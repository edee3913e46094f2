#!/usr/bin/env python3
"""Many streams at once from 100 requests against a running `moge serve --served-model-name small`.

    python3 tests/tools/check_load.py http://127.0.0.1:8080 PID [STREAMS]

One process, one coroutine a stream: each answer must be as its lone run, no thread more.
"""
import asyncio
import json
import resource
import sys
import time
from urllib.parse import urlsplit

address, pid = urlsplit(sys.argv[1]), sys.argv[2]
STREAMS = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
REQUESTS = [dict(model="small", prompt=f"Tom has {i} apples" + " and more" * (i % 5), stream=True,
                 max_tokens=8 + i % 24, temperature=0.8 * (i % 2), seed=i) for i in range(100)]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def status(field):
    with open(f"/proc/{pid}/status") as lines:
        return int(next(line for line in lines if line.startswith(field + ":")).split()[1])


async def stream(request, gate=None):
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    if gate:
        await gate.wait()
    body = json.dumps(request).encode()
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                 + str(len(body)).encode() + b"\r\n\r\n" + body)
    answer = (await reader.read(-1)).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200") and "data: [DONE]" in answer, answer[-300:]
    events = [json.loads(line[6:]) for line in answer.split("\n") if line.startswith("data: {")]
    return "".join(c["text"] for e in events for c in e["choices"])


async def main():
    alone = [await stream(r) for r in REQUESTS]
    assert sum(map(len, alone)) > 100, f"the answers are nearly empty: {alone}"
    threads, gate = status("Threads"), asyncio.Event()
    running = [asyncio.create_task(stream(REQUESTS[i % 100], gate)) for i in range(STREAMS)]
    await asyncio.sleep(3)  # all are connected
    start = time.monotonic()
    gate.set()
    await asyncio.sleep(1)
    during = status("Threads")
    answers = await asyncio.gather(*running)
    seconds = time.monotonic() - start
    different = sum(answer != alone[i % 100] for i, answer in enumerate(answers))
    assert different == 0, f"{different} of {STREAMS} answers differ from their lone runs"
    assert during == threads == status("Threads"), (threads, during, status("Threads"))
    print(f"{STREAMS} streams in {seconds:.1f} s, each as alone; {threads} threads throughout; "
          f"memory {status('VmRSS') >> 10} MiB, at most {status('VmHWM') >> 10} MiB")


asyncio.run(main())
