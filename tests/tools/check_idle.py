#!/usr/bin/env python3
"""Idle keep-alive connections, slow readers and clients that vanish, against a running `moge serve`.

    python3 tests/tools/check_idle.py http://127.0.0.1:8080 PID [CONNECTIONS]
"""
import asyncio
import json
import resource
import sys
import time
from urllib.parse import urlsplit

address, pid = urlsplit(sys.argv[1]), sys.argv[2]
WANTED = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
COUNT = min(WANTED, hard - 200)


def memory():
    with open(f"/proc/{pid}/status") as lines:
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) >> 10


async def connect():
    return await asyncio.open_connection(address.hostname, address.port)


async def get_health(connection):
    reader, writer = connection
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


def request(**fields):
    body = json.dumps(dict(prompt="Tom has 3 apples", temperature=0, ignore_eos=True, **fields)).encode()
    return (b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
            + str(len(body)).encode() + b"\r\n\r\n" + body)


async def timed_answer():
    start = time.monotonic()
    reader, writer = await connect()
    writer.write(request(max_tokens=16))
    answer = await reader.read(-1)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return time.monotonic() - start


async def main():
    before = memory()
    connections = []
    for first in range(0, COUNT, 500):
        connections += await asyncio.gather(*[connect() for _ in range(min(500, COUNT - first))])
    for first in range(0, COUNT, 500):
        await asyncio.gather(*[get_health(c) for c in connections[first:first + 500]])
    held = memory()
    alone = min([await timed_answer() for _ in range(3)])
    slow = [await connect() for _ in range(50)]
    for _, writer in slow:  # they ask for much and read nothing
        writer.write(request(max_tokens=200, stream=True))
    for _ in range(50):  # they ask and leave
        _, writer = await connect()
        writer.write(request(max_tokens=200, stream=True))
        await writer.drain()
        writer.transport.abort()
    beside = await timed_answer()
    await get_health(connections[0])
    await get_health(connections[-1])
    print(f"{COUNT} idle connections cost {held - before} MiB, all answer; beside 50 slow readers and "
          f"50 that left an answer took {beside * 1e3:.0f} ms, without {alone * 1e3:.0f} ms")
    for _, writer in connections + slow:
        writer.transport.abort()


asyncio.run(main())
