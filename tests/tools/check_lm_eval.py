#!/usr/bin/env python3
"""Compares lm_eval's sample files with the log-probabilities that /v1/completions echoes.

    venv/bin/python tests/tools/check_lm_eval.py http://127.0.0.1:8080 OUTPUT_FOLDER
"""
import glob
import json
import sys
import urllib.request

url, folder = sys.argv[1:]


def samples(task):
    (name,) = glob.glob(f"{folder}/**/samples_{task}_*.jsonl", recursive=True)
    return [json.loads(line) for line in open(name)]


def echo(prompt):
    body = json.dumps(dict(prompt=prompt, max_tokens=0, echo=True, logprobs=1)).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", body)))


def tokens(text):
    body = json.dumps(dict(prompt=text)).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(url + "/tokenize", body)))["count"]


worst = 0
choices = samples("moge_choice")
for sample in choices:
    for i, choice in enumerate(sample["doc"]["choices"]):
        question = sample["doc"]["question"]
        logprobs = echo(question + choice)["choices"][0]["logprobs"]["token_logprobs"]
        told = float(sample["resps"][i][0][0])
        mine = sum(logprobs[tokens(question):])
        worst = max(worst, abs(told - mine) / max(1, len(logprobs) - tokens(question)))
assert worst <= 1e-5, worst
texts = samples("moge_text")
assert len(choices) == len(texts) == 12 and any(s["resps"][0][0] for s in texts), texts[:2]
print(f"lm_eval: 24 choices within {worst:.1e} per token of the server's own echo, 12 texts generated")
