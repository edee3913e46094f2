#!/usr/bin/env python3
"""Requests mutated from valid ones against a running `moge serve`: each gets a well-formed 2xx or 4xx.

    python3 tests/tools/check_mutations.py http://127.0.0.1:8080 [REQUESTS [SEED [PID]]]

501 is the documented answer where a feature is off. Four connections, kept alive as long as the
server keeps them. With the server's PID its memory must be flat over the second half (and its
threads the same) where there are enough requests for it to settle.
"""
import collections
import http.client
import json
import random
import sys
import threading
import time
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1]).netloc
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
PID = sys.argv[4] if len(sys.argv) > 4 else None
ASK = [dict(role="system", content="Be brief."), dict(role="user", content="How many?")]
FUNCTION = dict(name="f", description="d", parameters=dict(type="object", properties=dict(a=dict(type="integer"))))
SAMPLING = dict(temperature=0.5, top_p=0.9, top_k=4, min_p=0.1, seed=7, stop=["x"], logit_bias={"5": 1.5},
                presence_penalty=0.1, frequency_penalty=0.1, repetition_penalty=1.1, n=1, stream=False)
VALID = [
    ("/v1/completions", dict(SAMPLING, model="small", prompt="Tom has", max_tokens=2, logprobs=2)),
    ("/v1/completions", dict(prompt=[1, 2, 3], max_tokens=2, echo=False, ignore_eos=True, min_tokens=1)),
    ("/v1/chat/completions", dict(SAMPLING, messages=ASK, max_tokens=2, logprobs=True, top_logprobs=2)),
    ("/v1/chat/completions", dict(messages=ASK, max_completion_tokens=2, tool_choice="auto",
                                  tools=[dict(type="function", function=FUNCTION)],
                                  stream_options=dict(include_usage=True), stream=True)),
    ("/v1/chat/completions", dict(messages=ASK, max_tokens=4, tools=[dict(type="function", function=FUNCTION)],
                                  tool_choice=dict(type="function", function=dict(name="f")))),
    ("/v1/completions", dict(prompt="Tom has", max_tokens=2, prompt_logprobs=1, guided_regex="[a-z ]+", best_of=2)),
    ("/v1/responses", dict(input="How many?", instructions="Be brief.", max_output_tokens=2, temperature=0)),
    ("/v1/responses", dict(input=[dict(role="user", content=[dict(type="input_text", text="How?")])],
                           max_output_tokens=2, tools=[dict(type="function", name="f", parameters={})])),
    ("/v1/messages", dict(messages=ASK[1:], system="Be brief.", max_tokens=2, stop_sequences=["x"])),
    ("/v1/messages", dict(max_tokens=2, tools=[dict(name="f", input_schema=dict(type="object"))], messages=[
        dict(role="user", content=[dict(type="text", text="How?")]),
        dict(role="assistant", content=[dict(type="tool_use", id="1", name="f", input=dict(a=1))]),
        dict(role="user", content=[dict(type="tool_result", tool_use_id="1", content="4")])])),
    ("/v1/messages/count_tokens", dict(messages=ASK[1:])),
    ("/v1/embeddings", dict(input=["Tom", "has"], encoding_format="base64")),
    ("/completion", dict(prompt="Tom has", n_predict=2, temperature=0.3, stop=["x"], n_probs=1)),
    ("/tokenize", dict(prompt="Tom has", add_special_tokens=True, return_token_strs=True)),
    ("/detokenize", dict(tokens=[1, 2, 3])),
    ("/apply-template", dict(messages=ASK)),
]
ODD = [None, True, False, 0, -1, 1, 2**31, 2**63, -2**63, 1e308, 0.5, "", "x", "\u0000", "\ud83d\ude00", "none",
       [], {}, [[]], [{}], [None], {"a": None}, [1, "x"], "x" * 5000, [0] * 300]


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in items:
        yield from places(inner, path + (key,))


def mutate(rng, body):
    body = json.loads(json.dumps(body))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        path = rng.choice(list(places(body))[1:] or [()])
        if not path:
            return rng.choice(ODD)
        inner = body
        for key in path[:-1]:
            inner = inner[key]
        what = rng.random()
        if what < 0.6:
            inner[path[-1]] = json.loads(json.dumps(rng.choice(ODD)))
        elif what < 0.8:
            del inner[path[-1]]
        elif isinstance(inner, dict):
            inner[str(path[-1]) + rng.choice("_xA")] = inner.pop(path[-1])
        else:
            inner.extend(json.loads(json.dumps(inner[:3])))
    return body


def broken_text(rng, text):
    if rng.random() < 0.85:
        return text
    data = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(1, len(data)))
        what = rng.random()
        if what < 0.4:
            data[at:at + 1] = bytes([rng.randrange(256)])
        elif what < 0.7:
            del data[at:at + rng.randint(1, 20)]
        else:
            data[at:at] = data[max(0, at - 30):at]
    return bytes(data)


def cap(body):
    """Keeps long answers short: what is tested is the request."""
    if isinstance(body, dict):
        for key in ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "n", "best_of"):
            if isinstance(body.get(key), (int, float)) and body[key] is not True and 4 < body[key] < 4000:
                body[key] = 2
    return body


def run(worker, count, statuses):
    rng = random.Random(f"{SEED} {worker}")
    connection = http.client.HTTPConnection(address, timeout=60)
    for _ in range(count):
        path, valid = rng.choice(VALID)
        body = broken_text(rng, json.dumps(cap(mutate(rng, valid))).encode())
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (http.client.HTTPException, OSError) as error:
            statuses[f"closed: {error!r} {path} {body[:300]!r}"] += 1
            connection.close()
            continue
        fine = 200 <= response.status < 300 or 400 <= response.status < 500 or response.status == 501
        if fine and response.status >= 400:
            fine = bool(json.loads(text)["error"]["message"])
        if fine and b"server_error" in text:
            fine = False
        statuses[response.status if fine else f"{response.status} {path} {body[:300]!r} {text[:300]!r}"] += 1


def of_server(field):
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


statuses = collections.Counter()
half = None
workers = [threading.Thread(target=run, args=(i, COUNT // 4, statuses)) for i in range(4)]
for worker in workers:
    worker.start()
while any(worker.is_alive() for worker in workers):
    time.sleep(0.2)
    if PID and half is None and sum(statuses.values()) >= COUNT // 2:
        half = (of_server("VmRSS"), of_server("Threads"))
for worker in workers:
    worker.join()
wrong = {key: n for key, n in statuses.items() if not isinstance(key, int)}
assert not wrong, "\n".join(list(wrong)[:10])
if half and COUNT >= 20000:
    rss, threads = of_server("VmRSS"), of_server("Threads")
    assert rss - half[0] < 8192 and threads == half[1], (half, rss, threads)
    print(f"memory {half[0]} kB at half, {rss} kB at the end; {threads} threads")
print(f"{sum(statuses.values())} mutated requests: " + ", ".join(f"{n} x {s}" for s, n in sorted(statuses.items())))
