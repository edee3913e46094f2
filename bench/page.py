#!/usr/bin/env python3
"""Measures moge beside its peers and writes a page of tables and charts. Standard library only; see
bench/run."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from parts import PEER_TYPE, Parts
from programs import Library, LlamaCpp, Moge, Torch, available_gib, say
from report import Page
from store import Store

PARTS = ("machine", "products", "attention", "model", "serve", "large")
GIB = {  # memory while measuring: weights, KV cache of 64 streams, 1 GiB and more to read from
    "olmoe-small": {"w8a8": 4, "w4a8": 4, "bf16": 5},
    "olmoe-1b-7b": {"w8a8": 11, "w4a8": 8, "bf16": 18},
    "pangu-pro-quarter": {"w8a8": 11, "w4a8": 8, "bf16": 17},
}
GGUF_GIB = {"olmoe-1b-7b": {"w8a8": 7, "w4a8": 4, "bf16": 13},
            "pangu-pro-quarter": {"w8a8": 6, "w4a8": 4, "bf16": 11}}


def cpu_name():
    """As the system names it, with family and model: many clouds hide the rest."""
    lines = (line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines()
             if ":" in line)
    found = {}
    for name, value in lines:
        found.setdefault(name.strip(), value.strip())
    return (f"{found.get('model name', 'unknown processor')} (family "
            f"{found.get('cpu family', '?')}, model {found.get('model', '?')})")


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def find_peers(options):
    """The peers that can be had here, by name."""
    if options.no_peers:
        return {}
    peers = {}
    tool = Path(os.environ.get("MOGE_SHARED", "../shared")) / "tools" / "peer_llamacpp"
    if tool.exists() and {"model", "serve"} & set(options.parts):
        llama = LlamaCpp(tool, options.threads)
        if llama.build():
            peers["llama"] = llama
    if {"products", "attention"} & set(options.parts):
        torch = Torch(options.threads)
        if torch.prepare():
            peers["torch"] = torch
        programs = [options.moge.parent / name for name in ("peer_onednn", "peer_openblas")]
        peers["libraries"] = [Library(p, options.threads) for p in programs if p.exists()]
    return peers


def say_needs(options):
    memory, disk = available_gib(".")
    needs = [4]
    if {"model", "serve"} & set(options.parts):
        needs += [GIB.get(m, {}).get(f, 4) for m in options.models for f in options.formats]
    if "large" in options.parts:
        needs.append(6)
    gguf = max(GGUF_GIB.get(m, {}).get(f, 1) for m in options.models for f in options.formats)
    text = f"needs up to {max(needs)} GiB of memory ({memory:.0f} available), one model at a time"
    if {"model", "serve"} & set(options.parts) and not options.no_peers:
        text += (f"; {1 + gguf} GiB of disk for llama.cpp and one model of random weights at a "
                 "time, deleted afterwards")
    if {"products", "attention"} & set(options.parts) and not options.no_peers:
        text += "; 6 GiB of disk for PyTorch, kept"
    say(f"{text} ({disk:.0f} GiB of disk free)")
    if memory < max(needs):
        sys.exit(f"bench/run: {max(needs)} GiB of memory are needed, {memory:.0f} are available: "
                 "pass fewer --models, --formats or --parts")


def listed(known):
    def parse(text):
        names = text.split(",")
        unknown = [n for n in names if n not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"'{unknown[0]}' is none of {', '.join(known)}")
        return names
    return parse


def parse():
    parser = argparse.ArgumentParser(prog="bench/run", add_help=False)
    parser.add_argument("--moge", type=Path, required=True)
    parser.add_argument("--parts", default=",".join(PARTS), type=listed(PARTS))
    parser.add_argument("--models", default="olmoe-small,olmoe-1b-7b,pangu-pro-quarter",
                        type=lambda text: text.split(","))
    parser.add_argument("--formats", default="w8a8,w4a8,bf16", type=listed(tuple(PEER_TYPE)))
    parser.add_argument("--product-formats", default="w8a8,w4a8,bf16,fp32",
                        type=listed(("w8a8", "w4a8", "bf16", "fp32")))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model-rounds", type=int, default=1)
    parser.add_argument("--waves", type=int, default=1)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    for flag in ("no-peers", "keep", "keep-models", "quick", "prepare", "page-only"):
        parser.add_argument(f"--{flag}", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.model_rounds = 1
    return options


def write_page(options, store):
    page = (f"# Performance\n\n{cpu_name()}, {options.threads} threads, "
            f"{', '.join(store.dates())}, commit {', '.join(store.commits())}. Limit = max(bytes "
            "touched ÷ read bandwidth, operations ÷ peak), both measured around the rows. Made by "
            "`bench/run`.\n\n"
            + Page(store, options.out).text())
    (options.out / "performance.md").write_text(page)
    say(f"wrote {options.out / 'performance.md'}")


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    store = Store(options.out / "raw.jsonl", commit(), options.keep or options.page_only)
    if not options.page_only:
        say_needs(options)
        peers = find_peers(options)
        if options.prepare:
            return
        try:
            parts = Parts(options, store, Moge(options.moge, options.threads), peers)
            for name in options.parts:
                getattr(parts, name)()
        finally:
            if "torch" in peers:
                peers["torch"].stop()
            if "llama" in peers and not options.keep_models:
                peers["llama"].clean()
    write_page(options, store)


if __name__ == "__main__":
    main()
