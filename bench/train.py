#!/usr/bin/env python3
"""Training steps beside PyTorch: ours and each of its variants in turn, medians. Standard library only; see bench/train."""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from programs import run_json
from report import shown, table

VARIANTS = ("loop", "sorted", "compiled", "bmm")  # bmm drops tokens: shown, never the peer that counts
# glibc gives large blocks back to the system after each use; PyTorch then spends its step in page faults. It runs at its best:
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_ARENA_MAX": "1"}


def ours(options, shape, dtype):
    return run_json([options.moge, "bench", "train", f"preset:{shape}", "--dtype", dtype, "--steps", options.steps, "--warmup", 2,
                     "--threads", options.threads, "--output", "json", "--quiet"], f"moge {shape} {dtype}")


def theirs(options, shape, dtype, variant):
    result = run_json([options.python, options.peer, "--shape", shape, "--dtype", dtype, "--experts", variant,
                       "--threads", options.threads, "--steps", options.steps + options.steps // 2, "--json"],
                      f"PyTorch {shape} {dtype} {variant}", {**os.environ, **KEEP_MEMORY})
    row = result["rows"][0] if result else {"error": "no result"}
    if "error" in row:
        print(f"   {variant}: {row['error']}", file=sys.stderr)
        return None
    return row["tokens_per_s"]


def compare(options, shape, dtype):
    """Rounds in turn; medians of tokens/s by name, and ours as moge reports it."""
    reports, speeds = [], {variant: [] for variant in options.experts}
    for _ in range(options.rounds):
        reports.append(ours(options, shape, dtype))
        for variant in options.experts:
            speeds[variant].append(theirs(options, shape, dtype, variant))
    reports = [r for r in reports if r]
    if not reports:
        sys.exit(f"bench/train: moge bench train preset:{shape} --dtype {dtype} gave no result")
    medians = {v: statistics.median(found) for v, values in speeds.items() if (found := [s for s in values if s])}
    same = [speed for variant, speed in medians.items() if variant != "bmm"]
    speed = statistics.median(r["tokens_per_s"] for r in reports)
    return {"shape": shape, "dtype": dtype, "rounds": options.rounds, "moge_tokens_per_s": speed,
            "mfu": statistics.median(r["mfu"] for r in reports), "peak_gflops": statistics.median(r["peak_gflops"] for r in reports),
            "torch_tokens_per_s": medians, "ratio": speed / max(same) if same else None}


def cells(row):
    peers = [shown(row["torch_tokens_per_s"].get(v), 0) for v in VARIANTS]
    return [row["shape"], row["dtype"], shown(row["moge_tokens_per_s"], 0), shown(row["mfu"], 3), *peers, shown(row["ratio"], 2)]


def parse():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    split = lambda text: text.split(",")
    parser = argparse.ArgumentParser()
    parser.add_argument("--moge", default="build/release/moge")
    parser.add_argument("--python", default=cache / "moge/venvs/torch/bin/python", help="one that has torch")
    parser.add_argument("--shapes", default="tiny,small", type=split)
    parser.add_argument("--dtypes", default="fp32,bf16", type=split)
    parser.add_argument("--experts", default=",".join(VARIANTS), type=split)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.peer = Path(os.environ.get("MOGE_SHARED", "../shared")) / "tools" / "peer_torch_train.py"
    for needed in (options.moge, options.python, options.peer):
        if not Path(needed).exists():
            sys.exit(f"bench/train: there is no {needed}")
    return options


def main():
    options = parse()
    rows = [compare(options, shape, dtype) for shape in options.shapes for dtype in options.dtypes]
    print(json.dumps({"rows": rows}) if options.json else
          table(["shape", "dtype", "moge tok/s", "MFU", *(f"torch {v}" for v in VARIANTS), "ratio"], [cells(row) for row in rows]))


if __name__ == "__main__":
    main()
