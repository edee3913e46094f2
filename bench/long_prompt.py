#!/usr/bin/env python3
"""What a long prompt does to 8 running streams of a `moge serve`, and they to it.

    python3 bench/long_prompt.py http://127.0.0.1:8080 [PROMPT_TOKENS [BASELINE_SECONDS]]
"""
import http.client
import json
import random
import sys
import threading
import time
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1]).netloc
TOKENS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
BASELINE_S = float(sys.argv[3]) if len(sys.argv) > 3 else 8
rng = random.Random(1)
times = [[] for _ in range(8)]
over = threading.Event()


def ask(tokens, **fields):
    connection = http.client.HTTPConnection(address, timeout=600)
    body = dict(prompt=[rng.randrange(10, 240) for _ in range(tokens)], temperature=0, ignore_eos=True,
                stream=True, **fields)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def first_token_s():
    start = time.monotonic()
    connection, response = ask(TOKENS, max_tokens=1)
    assert response.readline().startswith(b"data: "), response.status
    connection.close()
    return time.monotonic() - start


def stream(index):
    connection, response = ask(32, max_tokens=3000)
    while not over.is_set() and (line := response.readline()):
        if line.startswith(b"data: {"):
            times[index].append(time.monotonic())
    connection.close()


def p99_ms(begin, end):
    gaps = sorted(b - a for list_ in times for a, b in zip(list_, list_[1:]) if begin <= a and b <= end)
    return gaps[int(len(gaps) * 0.99)] * 1e3, gaps[len(gaps) // 2] * 1e3, len(gaps)


idle_s = first_token_s()
threads = [threading.Thread(target=stream, args=(i,), daemon=True) for i in range(8)]
for thread in threads:
    thread.start()
while min(map(len, times)) < 4:
    time.sleep(0.05)
begin = time.monotonic()
time.sleep(BASELINE_S)
middle = time.monotonic()
busy_s = first_token_s()
end = time.monotonic()
over.set()
before, before_median, count = p99_ms(begin, middle)
during, during_median, more = p99_ms(middle, end)
print(f"inter-token p99 {before:.1f} ms alone ({count} gaps, median {before_median:.1f}), {during:.1f} ms beside a prompt of "
      f"{TOKENS} ({more} gaps, median {during_median:.1f}): x {during / before:.2f}; "
      f"its first token after {busy_s:.2f} s, idle {idle_s:.2f} s: x {busy_s / idle_s:.2f}")
assert during <= 2 * before and busy_s <= 4 * idle_s, "beyond 2 x and 4 x"
