#!/usr/bin/env python3
"""PyPI's tokenizers gives the ids that a running `moge serve` gives, for the lines of some files.

    venv/bin/python tests/tools/check_tokenizers.py http://127.0.0.1:8080 tokenizer.json
"""
import json
import sys
import urllib.request
from pathlib import Path

from tokenizers import Tokenizer

url, path = sys.argv[1:]
tokenizer = Tokenizer.from_file(path)
root = Path(__file__).resolve().parents[2]
texts = [(root / name).read_text() for name in ("README.md", "tests/tools/tokenizer_corpus.txt")]
texts = [line for text in texts for line in text.split("\n") if line][:300]
texts += ["  two  spaces\n\n\tand a tab ", "naïve Zoë 你好 🙂", "12345 it's"]


def ids_of_moge(text):
    body = json.dumps(dict(content=text, add_special=False)).encode()
    request = urllib.request.Request(url + "/tokenize", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))["tokens"]


for text in texts:
    want, got = tokenizer.encode(text, add_special_tokens=False).ids, ids_of_moge(text)
    if got != want:
        sys.exit(f"check_tokenizers: {text!r} is {got} here, {want} in tokenizers")
print(f"{len(texts)} texts have the ids of PyPI's tokenizers")
