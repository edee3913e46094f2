"""PyTorch on our shapes, for bench/run: reads one JSON job a line from stdin, answers each with one
JSON line. Weights and caches are cycled through memory, medians count.

{"op": "products", "format": "bf16|fp32|int8", "experts": E, "active": A, "rows": R, "k": K, "n": N}
    one torch.mm (int8: torch._int_mm, which wants 17 rows or more) per active expert
{"op": "attention", "phase": "decode|prefill", "batch": B, "context": T, "heads": H, "kv_heads": N,
 "head_dim": C, "dtype": "bf16|fp32"}
    scaled_dot_product_attention, and Hugging Face's eager form: K and V repeated for the query
    heads, scores, softmax in fp32, values, each written out
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

CYCLE_BYTES = 1 << 30  # more than the caches hold
TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def median_ms(call, seconds):
    call()
    took, end = [], time.perf_counter() + seconds
    while len(took) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e3


def numbers(format, *shape):
    if format == "int8":
        return torch.randint(-127, 127, shape, dtype=torch.int8)
    return torch.randn(*shape).to(TYPES[format])


def products(job):
    format, active, rows, k, n = (job[key] for key in ("format", "active", "rows", "k", "n"))
    computed = max(rows, 17) if format == "int8" else rows
    one = numbers(format, n, k)
    layer = job["experts"] * one.numel() * one.element_size()
    copies = job["experts"] * max(1, -(-CYCLE_BYTES // layer))
    w = one.repeat(copies, 1, 1)
    x = numbers(format, active, computed, k)
    multiply = torch._int_mm if format == "int8" else torch.mm
    turn = [0]

    def call():
        for slot in range(active):
            multiply(x[slot], w[turn[0]].t())
            turn[0] = (turn[0] + 1) % copies

    return {"ms": median_ms(call, job["seconds"]), "rows_computed": computed}


def attention(job):
    batch, tokens, heads, kv_heads, dim = (
        job[key] for key in ("batch", "context", "heads", "kv_heads", "head_dim"))
    dtype, prefill = TYPES[job["dtype"]], job["phase"] == "prefill"
    q = torch.randn(batch, heads, tokens if prefill else 1, dim).to(dtype)
    k = torch.randn(batch, kv_heads, tokens, dim).to(dtype)
    copies = max(1, -(-CYCLE_BYTES // (2 * k.numel() * k.element_size())))
    caches = [(k.clone(), k.clone()) for _ in range(copies)]
    mask = torch.full((tokens, tokens), -1e30, dtype=dtype).triu(1) if prefill else None
    turn = [0]

    def next_cache():
        turn[0] = (turn[0] + 1) % copies
        return caches[turn[0]]

    def fused():
        keys, values = next_cache()
        F.scaled_dot_product_attention(q, keys, values, is_causal=prefill, enable_gqa=True)

    def repeated(x):
        wide = x[:, :, None].expand(batch, kv_heads, heads // kv_heads, tokens, dim)
        return wide.reshape(batch, heads, tokens, dim)

    def eager():
        keys, values = (repeated(x) for x in next_cache())
        scores = torch.matmul(q, keys.transpose(2, 3)) * dim**-0.5
        if prefill:
            scores = scores + mask
        torch.matmul(F.softmax(scores, dim=-1, dtype=torch.float32).to(dtype), values)

    return {"sdpa_ms": median_ms(fused, job["seconds"]),
            "eager_ms": median_ms(eager, job["seconds"])}


def main():
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        torch.manual_seed(0)
        try:
            with torch.inference_mode():
                answer = {"products": products, "attention": attention}[job["op"]](job)
        except (RuntimeError, KeyError) as error:
            answer = {"error": str(error)[:200]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
