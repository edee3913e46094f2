#!/usr/bin/env python3
"""Measures one model beside its peers and writes a page of tables and charts. Standard library only; see bench/run."""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from charts import bars

PEER_TYPE = {"w8a8": "Q8_0", "w4a8": "Q4_0", "bf16": "BF16"}
GIB_NEEDED = {  # memory while measuring: weights, KV cache of 64 streams, 1 GiB to read from
    "olmoe-1b-7b": {"w8a8": 10, "w4a8": 6, "bf16": 17},
    "pangu-pro-quarter": {"w8a8": 11, "w4a8": 7, "bf16": 19},
}
BATCHES = (1, 8, 32, 64)


def say(text):
    print(text, file=sys.stderr, flush=True)


def run_json(command, what):
    """The last JSON object that a command prints; None, with its last words, if it fails."""
    say(f"-- {what}")
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        say(f"   failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else None


def available_gib(path):
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(memory["MemAvailable"].split()[0]) / 2**20, shutil.disk_usage(path).free / 2**30


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


class Bench:
    def __init__(self, options):
        self.options = options
        tools = Path(os.environ.get("MOGE_SHARED", "../shared")) / "tools"
        peers = not options.no_peers
        self.llama = tools / "peer_llamacpp" if peers and (tools / "peer_llamacpp").exists() else None
        self.torch = tools / "peer_torch_ops.py" if peers and (tools / "peer_torch_ops.py").exists() else None
        self.threads = ["--threads", options.threads] if options.threads else []

    def say_needs(self):
        memory, disk = available_gib(".")
        needs = max(GIB_NEEDED.get(self.options.model, {}).get(f, 2) for f in self.options.formats)
        gguf = 15 if "bf16" in self.options.formats else 8
        say(f"needs about {needs} GiB of memory ({memory:.0f} available)"
            + (f", and for llama.cpp 1 GiB + up to {gguf} GiB of disk ({disk:.0f} free)" if self.llama else "")
            + (", for PyTorch 6 GiB once" if self.torch else ""))
        if memory < needs:
            sys.exit(f"bench/run: {needs} GiB of memory are needed, {memory:.0f} are available: pass fewer --formats")

    def model(self, format):
        """Ours and llama.cpp's in turn; lists of results."""
        ours, theirs = [], []
        for turn in range(self.options.rounds):
            name = f"{self.options.model} {format}, round {turn + 1} of {self.options.rounds}"
            ours.append(run_json([self.options.moge, "bench", "model", f"preset:{self.options.model}", "--format", format,
                                  "--output", "json", "--quiet", *self.threads], f"moge, {name}"))
            if self.llama:
                theirs.append(run_json([self.llama, "bench", "--shape", self.options.model, "--type", PEER_TYPE[format],
                                        "--batches", ",".join(map(str, BATCHES)), "--json", *self.threads],
                                       f"llama.cpp, {name}, {PEER_TYPE[format]}"))
        return [r for r in ours if r], [r for r in theirs if r]

    def ops(self):
        gmm = run_json([self.options.moge, "bench", "gmm", "--output", "json", "--quiet", *self.threads], "moge, grouped products")
        attention = run_json([self.options.moge, "bench", "attention", "--output", "json", "--quiet", *self.threads], "moge, attention")
        peers = self.torch_rows() if self.torch else None
        return gmm, attention, peers

    def torch_rows(self):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moge" / "venvs" / "torch"
        if not (folder / "bin" / "python").exists():
            say("-- PyTorch into a throw-away environment")
            made = subprocess.run([sys.executable, "-m", "venv", folder]).returncode == 0
            if not made or subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", "torch", "numpy"]).returncode:
                say("   failed: PyTorch's columns stay empty")
                return None
        return run_json([folder / "bin" / "python", self.torch, "--json", *self.threads], "PyTorch, single operations")

    def clean(self):
        if self.llama:
            subprocess.run([str(self.llama), "clean", "--models"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def median_of(results, pick):
    values = [v for v in (pick(r) for r in results) if v is not None]
    return statistics.median(values) if values else None


def shown(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def model_rows(ours, theirs):
    """(name, moge tok/s, % of limit, llama.cpp tok/s) of each row."""
    picks = [("pp512", lambda r: r["pp"].get("512"), lambda r: r["percent_of_limit"]["pp"], lambda r: r["pp_tok_s"]),
             ("tg128", lambda r: r["tg"].get("128"), lambda r: r["percent_of_limit"]["tg"], lambda r: r["tg_tok_s"])]
    for b in map(str, BATCHES):
        picks.append((f"batch {b}", lambda r, b=b: r["batched"].get(b), lambda r, b=b: r["percent_of_limit"]["batched"].get(b),
                      lambda r, b=b: r["batched"].get(b)))
    return [(name, median_of(ours, speed), median_of(ours, percent), median_of(theirs, peer)) for name, speed, percent, peer in picks]


def model_section(model, format, ours, theirs, out):
    if not ours:
        return f"### {format}\n\nnot measured\n"
    rows = model_rows(ours, theirs)
    lines = [(name, shown(a), shown(percent, 0), shown(b), shown(a / b, 2) if a and b else "") for name, a, percent, b in rows]
    chart = f"{model}-{format}.svg"
    limits = [a / percent * 100 if a and percent else None for _, a, percent, _ in rows]
    bars(out / chart, f"{model} {format}: tokens/s", [row[0] for row in rows],
         [("moge", [row[1] for row in rows]), (f"llama.cpp {PEER_TYPE[format]}", [row[3] for row in rows]), ("limit", limits)])
    head = table(["", "moge tok/s", "% of limit", f"llama.cpp {PEER_TYPE[format]}", "ratio"], lines)
    facts = (f"{ours[0]['weight_bytes'] / 1e9:.2f} GB of weights, {ours[0]['active_weight_bytes'] / 1e9:.2f} GB a token; "
             f"{ours[0]['read_gb_s']:.1f} GB/s, int8 {ours[0]['peak']['int8_gops']:.0f} Gop/s, bf16 "
             f"{ours[0]['peak']['bf16_gflops']:.0f} GFLOP/s; {len(ours)} round(s), KV cache bf16 (llama.cpp: f16)")
    return f"### {format}\n\n{head}\n\n{facts}\n\n![{model} {format}]({chart})\n"


def op_section(title, result, columns):
    if not result or not result.get("rows"):
        return f"### {title}\n\nnot measured\n"
    columns = [c for c in columns if any(c in row for row in result["rows"])]
    cells = [[shown(row[c]) if isinstance(row.get(c), float) else str(row.get(c, "")) for c in columns] for row in result["rows"]]
    return f"### {title}\n\n{table(columns, cells)}\n"


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--moge", required=True)
    parser.add_argument("--model", default="olmoe-1b-7b")
    parser.add_argument("--formats", default="w8a8,w4a8,bf16", type=lambda text: text.split(","))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    unknown = set(options.formats) - set(PEER_TYPE)
    if unknown:
        sys.exit(f"bench/run: unknown format {sorted(unknown)[0]} (known: {', '.join(PEER_TYPE)})")
    return options


def main():
    options = parse()
    bench = Bench(options)
    bench.say_needs()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = [f"# Performance: {options.model}\n",
             f"{cpu_name()}, {options.threads or os.cpu_count()} threads, {datetime.date.today()}, commit {commit()}. "
             "Limit = max(bytes touched ÷ read bandwidth, operations ÷ peak), both measured around the rows. "
             f"Made by `bench/run --model {options.model} --formats {','.join(options.formats)} --rounds {options.rounds}`.\n"]
    try:
        parts.append("## Whole model\n")
        parts += [model_section(options.model, f, *bench.model(f), options.out) for f in options.formats]
        gmm, attention, torch = bench.ops()
        parts.append("## Single operations\n")
        parts.append(op_section("Grouped products (`moge bench gmm`)", gmm, ["format", "active_experts", "rows_per_expert", "n", "k", "ms",
                                                                            "gops", "gb_s", "percent_of_peak", "percent_of_bandwidth"]))
        parts.append(op_section("Attention (`moge bench attention`)", attention,
                                ["phase", "batch", "context", "kv_dtype", "ms", "gops", "gb_s", "percent_of_peak", "percent_of_bandwidth",
                                 "speedup_over_eager", "speedup_over_unfused"]))
        parts.append(op_section(f"PyTorch {torch['torch'] if torch else ''}", torch,
                                ["op", "E", "rows", "M", "N", "K", "B", "ctx", "dtype", "ms", "gops", "gb_s", "unfused_ms"]))
    finally:
        bench.clean()
    (options.out / "performance.md").write_text("\n".join(parts))
    say(f"wrote {options.out / 'performance.md'}")


if __name__ == "__main__":
    main()
