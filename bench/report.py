"""The page of a store's results: tables in Markdown, charts as SVG files beside it."""

import statistics

from charts import bars, roofline
from parts import BATCHES, PEER_TYPE

FORMATS = ("w8a8", "w4a8", "bf16", "fp32")
SHAPE = ("active_experts", "experts", "k", "n", "rows_per_expert")


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def shown(value, digits=1, unit=""):
    return "" if value is None else f"{value:.{digits}f}{unit}"


def ratio(ours, theirs, digits=2):
    return shown(ours / theirs, digits) if ours and theirs else ""


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def field(results, *path):
    """Median over results of one nested field; results that lack it do not count."""
    values = []
    for result in results:
        for name in path:
            result = result.get(name) if isinstance(result, dict) else None
        values.append(result)
    return median(values)


class Rows:
    """Medians over rounds of tables whose lines are known by some fields."""

    def __init__(self, results, names):
        self.lines = {}
        for result in results:
            for row in result["rows"]:
                self.lines.setdefault(tuple(row.get(n) for n in names), []).append(row)

    def get(self, key, name):
        return median(row.get(name) for row in self.lines.get(key, []))


class Page:
    def __init__(self, store, out):
        self.store, self.out = store, out

    def text(self):
        sections = [self.machine(), self.models(), self.servers(), self.products(),
                    self.attention(), self.large()]
        return "\n".join(section for section in sections if section)

    def machine(self):
        found = self.store.results("machine", "moge")
        if not found:
            return ""
        limits = self.limits()
        return table(["limit", "measured"], [
            ("read bandwidth", shown(limits["read"], 1, " GB/s")),
            ("int8", shown(limits["int8"], 0, " Gop/s")),
            ("bf16", shown(limits["bf16"], 0, " GFLOP/s")),
            ("fp32", shown(limits["fp32"], 0, " GFLOP/s"))])

    def limits(self):
        found = self.store.results("machine", "moge")
        read = [max(r["memory"]["read_gb_s"].values()) for r in found]
        peak = {name: max((r["peak"][f"{name}_{unit}"] for r in found), default=0.0)
                for name, unit in (("fp32", "gflops"), ("bf16", "gflops"), ("int8", "gops"))}
        return {"read": max(read, default=0.0), **peak}

    # ---- whole models

    def models(self):
        keys = self.store.keys("model", "model", "format")
        if not keys:
            return ""
        return "## Whole models\n\n" + "\n".join(self.model(*key) for key in keys)

    def model_rows(self, model, format):
        """(name, ours, percent of the limit, theirs) of each row that was measured."""
        find = lambda who, half: self.store.results("model", who, model=model, format=format,
                                                    half=half)
        ours, theirs = find("moge", "single"), find("llama.cpp", "single")
        rows = []
        for name, field_name in (("pp", "pp_tok_s"), ("tg", "tg_tok_s")):
            for length in sorted({n for r in ours for n in r[name]}):
                rows.append((f"{name}{length}", field(ours, name, length),
                             field(ours, "percent_of_limit", name), field(theirs, field_name)))
        ours, theirs = find("moge", "batched"), find("llama.cpp", "batched")
        for batch in map(str, BATCHES):
            speed = field(ours, "batched", batch)
            if speed:
                rows.append((f"batch {batch}", speed,
                             field(ours, "percent_of_limit", "batched", batch),
                             field(theirs, "batched", batch)))
        return rows

    def model(self, model, format):
        rows = self.model_rows(model, format)
        if not rows:
            return ""
        peer = f"llama.cpp {PEER_TYPE[format]}"
        lines = [(name, shown(a), shown(percent, 0), shown(b), ratio(a, b))
                 for name, a, percent, b in rows]
        has_peer = any(row[3] for row in rows)
        header = ["", "moge tok/s", "% of limit", f"{peer} tok/s", "times"]
        if not has_peer:
            header, lines = header[:3], [line[:3] for line in lines]
        chart = f"{model}-{format}.svg"
        series = [("moge", [row[1] for row in rows])]
        if has_peer:
            series.append((peer, [row[3] for row in rows]))
        series.append(("limit", [a / p * 100 if p else None for _, a, p, _ in rows]))
        bars(self.out / chart, f"{model} {format}, tokens/s", [row[0] for row in rows], series)
        return (f"### {model}, {format}\n\n{table(header, lines)}\n"
                f"{self.model_facts(model, format)}\n\n![{model} {format}]({chart})\n")

    def model_facts(self, model, format):
        ours = self.store.results("model", "moge", model=model, format=format)
        theirs = self.store.results("model", "llama.cpp", model=model, format=format)
        facts = (f"{ours[0]['weight_bytes'] / 1e9:.2f} GB of weights, "
                 f"{ours[0]['active_weight_bytes'] / 1e9:.2f} GB a token; limits measured around "
                 f"the rows: {field(ours, 'read_gb_s'):.1f} GB/s, int8 "
                 f"{field(ours, 'peak', 'int8_gops'):.0f} Gop/s, bf16 "
                 f"{field(ours, 'peak', 'bf16_gflops'):.0f} GFLOP/s.")
        if theirs:
            facts += f" llama.cpp {theirs[0]['llama_cpp_version']}."
        return facts + self.disturbance([*ours, *theirs])

    def disturbance(self, results):
        stolen = max((r.get("stolen_s", 0) for r in results), default=0)
        return f" The host took away up to {stolen:.1f} s of a run." if stolen >= 0.5 else ""

    # ---- servers

    def servers(self):
        keys = self.store.keys("serve", "model")
        if not keys:
            return ""
        rows = []
        for (model,) in keys:
            ours = self.store.results("serve", "moge", model=model)
            theirs = self.store.results("serve", "llama.cpp", model=model)
            for title, name, digits in (("output tok/s", "output_throughput", 1),
                                        ("p99 between tokens, ms", "p99_itl_ms", 0),
                                        ("median between tokens, ms", "median_itl_ms", 0),
                                        ("median to the first, ms", "median_ttft_ms", 0)):
                a, b = field(ours, name), field(theirs, name)
                rows.append((model, title, shown(a, digits), shown(b, digits), ratio(a, b)))
        return ("## Servers\n\n`moge serve` (W8A8) and llama-server (Q8_0), both under `moge bench "
                "serve`: 64 requests at once, 256 tokens in, 128 out.\n\n"
                + table(["model", "", "moge", "llama-server", "ours ÷ theirs"], rows))

    # ---- products

    def products(self):
        if not self.store.keys("products", "format"):
            return ""
        parts = ["## Matrix products\n\nMicroseconds of one call (all active experts); *times* is "
                 "the fastest peer's time divided by ours. PyTorch's `_int_mm` computes 17 rows "
                 "where fewer are asked for. W4A8 stands beside the peers' int8: none of them "
                 "multiplies 4-bit weights.\n"]
        parts += [self.product_table(f) for f in FORMATS]
        chart = self.roofline()
        return "\n".join(part for part in parts if part) + chart

    def product_peers(self, format):
        source = "w8a8" if format == "w4a8" else format
        peers = {}
        for who in ("peer_onednn", "peer_openblas", "torch"):
            results = self.store.results("products", who, format=source)
            if results:
                peers[results[-1]["library"]] = Rows(results, SHAPE)
        return peers

    def product_table(self, format):
        results = self.store.results("products", "moge", format=format)
        if not results:
            return ""
        ours, peers = Rows(results, SHAPE), self.product_peers(format)
        lines = []
        for key in ours.lines:
            active, experts, k, n, rows = key
            ms = ours.get(key, "ms")
            theirs = [peer.get(key, "ms") for peer in peers.values()]
            best = min((t for t in theirs if t), default=None)
            lines.append((f"{active} of {experts}" if experts > 1 else "dense", f"{k}×{n}",
                          str(rows), shown(ms * 1e3, 0),
                          shown(ours.get(key, "percent_of_bandwidth"), 0),
                          shown(ours.get(key, "percent_of_peak"), 0),
                          *(shown(t * 1e3 if t else None, 0) for t in theirs), ratio(best, ms)))
        header = ["experts", "K×N", "rows each", "moge µs", "% of bandwidth", "% of peak",
                  *(f"{name} µs" for name in peers), "times"]
        if not peers:
            header, lines = header[:-1], [line[:-1] for line in lines]
        return f"### {format}\n\n{table(header, lines)}"

    def roofline(self):
        limits, series = self.limits(), []
        if not limits["read"]:
            return ""
        for index, format in enumerate(FORMATS):
            ours = Rows(self.store.results("products", "moge", format=format), SHAPE)
            points = [(ours.get(key, "gops") / ours.get(key, "gb_s"), ours.get(key, "gops"))
                      for key in ours.lines]
            if points:
                series.append((format, index, points))
            series += self.peer_points(format, index)
        roofline(self.out / "roofline.svg", "Products: ours filled, the fastest peer's hollow",
                 limits["read"], [(n, limits[n]) for n in ("int8", "bf16", "fp32")], series)
        return "\n![roofline](roofline.svg)\n" if series else ""

    def peer_points(self, format, index):
        if format == "w4a8":
            return []
        width = {"w8a8": 1, "bf16": 2, "fp32": 4}[format]
        best = {}
        for peer in self.product_peers(format).values():
            for key in peer.lines:
                active, _, k, n, rows = key
                gops = 2e-6 * active * k * n * rows / peer.get(key, "ms")
                best[key] = max(best.get(key, 0.0), gops)
        points = [(2.0 * key[4] / width, gops) for key, gops in best.items()]
        return [(f"peer {format}", index + 4, points)] if points else []

    # ---- attention

    def attention(self):
        if not self.store.keys("attention", "dtype"):
            return ""
        names = ("phase", "batch", "context")
        lines = []
        for dtype in ("bf16", "int8"):
            ours = Rows(self.store.results("attention", "moge", dtype=dtype), names)
            torch = Rows(self.store.results("attention", "torch", dtype=dtype), names)
            for key in ours.lines:
                phase, batch, context = key
                ms, get = ours.get(key, "ms"), lambda name, key=key: ours.get(key, name)
                sdpa, eager = torch.get(key, "sdpa_ms"), torch.get(key, "eager_ms")
                lines.append((f"{phase} {batch}×{context}", dtype, shown(ms, 3),
                              shown(get("percent_of_bandwidth"), 0),
                              shown(get("percent_of_peak"), 0), shown(get("speedup_over_eager")),
                              shown(get("speedup_over_unfused")), shown(sdpa, 2), shown(eager, 2),
                              ratio(sdpa, ms, 1), ratio(eager, ms, 1)))
        return ("## Attention\n\n40 query and 8 key-value heads of 128 over a paged cache. "
                "*× eager* and *× unfused* are against our own unfused forms in the same process "
                "(with and without K and V repeated for the query heads); the last columns against "
                "PyTorch's `scaled_dot_product_attention` and Hugging Face's eager form.\n\n"
                + table(["", "cache", "moge ms", "% of bandwidth", "% of peak", "× eager",
                         "× unfused", "SDPA ms", "HF eager ms", "× SDPA", "× HF eager"], lines))

    # ---- a model larger than the machine

    def large(self):
        found = self.store.results("large", "moge", what="model")
        if not found:
            return ""
        rows = [(f"{name}{length}", shown(field(found, name, length)),
                 shown(field(found, "percent_of_limit", name), 0))
                for name in ("pp", "tg") for length in found[0][name]]
        text = ("## pangu-pro-72b-a16b, 2 of its 48 layers, w4a8\n\n"
                + table(["", "moge tok/s", "% of limit"], rows))
        fit = [r["fit"] for r in self.store.results("large", "moge", what="doctor")]
        if fit:
            text += (f"\nAll 48 layers would take {fit[0]['weight_bytes'] / 1e9:.1f} GB; "
                     f"`moge doctor` predicts at most "
                     f"{fit[0]['predicted']['prefill_tok_s']:.1f} tok/s of a prompt and "
                     f"{fit[0]['predicted']['decode_tok_s']:.2f} tok/s of an answer on a machine "
                     "with these limits and enough memory.\n")
        return text
