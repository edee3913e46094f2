#!/usr/bin/env python3
"""Compares `moge data prepare` with an independent numpy writing and reading of Megatron's format.

usage: check_megatron_idx.py MOGE TOKENIZER_DIR [FILE.jsonl]     (needs numpy; run by hand)

Prepares FILE (or a small corpus made by `moge data generate`), tokenizes the same documents with
`moge tokenize`, writes .idx and .bin with numpy alone from the description of the format, and
compares the bytes; then reads our files back with numpy and compares the tokens.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

CODES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}


def write_with_numpy(documents, dtype, prefix):
    code = next(c for c, t in CODES.items() if t == dtype)
    lengths = np.array([len(d) for d in documents], dtype="<i4")
    ends = np.cumsum(lengths, dtype=np.int64)
    pointers = np.concatenate([[0], ends[:-1]]).astype("<i8") * np.dtype(dtype).itemsize
    borders = np.arange(len(documents) + 1, dtype="<i8")
    with open(prefix + ".idx", "wb") as idx:
        idx.write(b"MMIDIDX\x00\x00")
        idx.write(np.array([1], dtype="<u8").tobytes())
        idx.write(bytes([code]))
        idx.write(np.array([len(lengths), len(borders)], dtype="<u8").tobytes())
        idx.write(lengths.tobytes() + pointers.tobytes() + borders.tobytes())
    np.concatenate([np.array(d, dtype=dtype) for d in documents]).tofile(prefix + ".bin")


def read_with_numpy(prefix):
    raw = pathlib.Path(prefix + ".idx").read_bytes()
    assert raw[:9] == b"MMIDIDX\x00\x00"
    version, = np.frombuffer(raw, "<u8", 1, 9)
    assert version == 1
    dtype = CODES[raw[17]]
    sequences, borders = (int(n) for n in np.frombuffer(raw, "<u8", 2, 18))
    at = 34
    lengths = np.frombuffer(raw, "<i4", sequences, at)
    pointers = np.frombuffer(raw, "<i8", sequences, at + 4 * sequences)
    border = np.frombuffer(raw, "<i8", borders, at + 12 * sequences)
    assert len(raw) == at + 12 * sequences + 8 * borders
    tokens = np.fromfile(prefix + ".bin", dtype)
    size = np.dtype(dtype).itemsize
    parts = [tokens[p // size:p // size + n] for p, n in zip(pointers, lengths)]
    return [np.concatenate([parts[i] for i in range(a, b)] or [[]]).astype(int).tolist()
            for a, b in zip(border[:-1], border[1:])]


def main():
    moge, tokenizer = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        corpus = sys.argv[3] if len(sys.argv) > 3 else folder + "/corpus.jsonl"
        if len(sys.argv) <= 3:
            subprocess.run([moge, "data", "generate", "--out", corpus, "--bytes", "20000", "--seed",
                            "3", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        ours, theirs = folder + "/ours", folder + "/theirs"
        subprocess.run([moge, "data", "prepare", "--input", corpus, "--tokenizer", tokenizer,
                        "--out", ours, "--no-eod", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        documents = []
        for line in open(corpus, encoding="utf-8"):
            text = json.loads(line)["text"].encode()
            out = subprocess.run([moge, "tokenize", tokenizer, "-", "--no-special", "--output",
                                  "json"], input=text, capture_output=True, check=True).stdout
            documents.append(json.loads(out)["ids"])
        dtype = CODES[pathlib.Path(ours + ".idx").read_bytes()[17]]
        write_with_numpy(documents, dtype, theirs)
        for end in (".idx", ".bin"):
            a, b = (pathlib.Path(p + end).read_bytes() for p in (ours, theirs))
            assert a == b, f"{end}: {len(a)} and {len(b)} bytes differ"
        assert read_with_numpy(ours) == documents
        tokens = sum(map(len, documents))
        print(f"equal: {len(documents)} documents, {tokens} tokens, {np.dtype(dtype).name}")


if __name__ == "__main__":
    main()
