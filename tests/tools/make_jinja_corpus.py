#!/usr/bin/env python3
"""Writes the seeds of jinja_fuzz: our templates, and the snippets of chat_snippets.py in batches.

    python3 tests/tools/make_jinja_corpus.py tests/goldens/chat tests/fuzz/jinja_fuzz
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chat_snippets import SNIPPETS  # noqa: E402

goldens, corpus = map(pathlib.Path, sys.argv[1:3])
corpus.mkdir(parents=True, exist_ok=True)
for template in sorted(goldens.glob("*.jinja")):
    (corpus / template.stem).write_bytes(template.read_bytes())
for number, source in enumerate(SNIPPETS):
    if number % 3 == 0:
        (corpus / f"snippet_{number:03d}").write_bytes(source.encode())
(corpus / "variables").write_bytes(b'{{ x.y | tojson(indent=1) }}\x1e{"x": {"y": [1, "\xc3\xa4", null]}}')
