"""What bench/run measures, part by part; ours and theirs in turn, results into the store."""

from programs import Server, free_port, say

PEER_TYPE = {"w8a8": "Q8_0", "w4a8": "Q4_0", "bf16": "BF16"}  # llama.cpp's, of equal bits
PEER_SHAPE = {"olmoe-small": "small", "olmoe-1b-7b": "olmoe-1b-7b",
              "pangu-pro-quarter": "pangu-pro-quarter"}
LIBRARY_FORMAT = {"w8a8": "int8", "w4a8": "int8", "bf16": "bf16", "fp32": "fp32"}
BATCHES = (1, 8, 32, 64)

# (experts of a layer, those with rows in a call, KxN, rows of each)
PRODUCTS = [
    (64, 8, ("2048x1024", "2560x768", "5120x1344"), (1, 64, 512)),
    (64, 64, ("2048x2048",), (1, 8, 64)),
    (1, 1, ("5120x2688",), (1, 16, 512)),
    (1, 1, ("1344x5120",), (512,)),
    (1, 1, ("2048x2048",), (2048,)),
]
QUICK_PRODUCTS = [(16, 4, ("512x256",), (1, 64)), (1, 1, ("512x512",), (64,))]
ATTENTION = ("1x4096", "8x4096", "32x1024")


class Parts:
    def __init__(self, options, store, moge, peers):
        self.options, self.store, self.moge = options, store, moge
        self.llama, self.torch = peers.get("llama"), peers.get("torch")
        self.libraries = peers.get("libraries", [])

    def rounds(self):
        for turn in range(self.options.rounds):
            yield f"round {turn + 1} of {self.options.rounds}"

    def machine(self):
        self.store.add("machine", "moge", {}, self.moge.json("this machine's limits", "doctor"))

    def products(self):
        sets = QUICK_PRODUCTS if self.options.quick else PRODUCTS
        for turn in self.rounds():
            for format in self.options.product_formats:
                for experts, active, shapes, rows in sets:
                    what = f"{format} {','.join(shapes)}, {active} of {experts} experts, {turn}"
                    self.products_once(format, experts, active, shapes, rows, what)

    def products_once(self, format, experts, active, shapes, rows, what):
        key = {"format": format}
        self.store.add("products", "moge", key, self.moge.json(
            what, "bench", "gmm", "--formats", format, "--experts", experts, "--active", active,
            "--shapes", ",".join(shapes), "--rows", ",".join(map(str, rows))))
        if format == "w4a8":
            return  # no peer multiplies 4-bit weights; the table sets it beside their int8
        theirs = LIBRARY_FORMAT[format]
        for library in self.libraries:
            if "openblas" in library.program.name and theirs != "fp32":
                continue
            found = library.products(what, theirs, shapes, rows, experts, active)
            self.store.add("products", library.program.name, key, found)
        if self.torch:
            self.store.add("products", "torch", key,
                           self.torch_products(theirs, experts, active, shapes, rows, what))

    def torch_products(self, format, experts, active, shapes, rows, what):
        lines = []
        for shape in shapes:
            k, n = map(int, shape.split("x"))
            for count in rows:
                answer = self.torch.ask(f"{what}, {count} rows", op="products", format=format,
                                        experts=experts, active=active, rows=count, k=k, n=n,
                                        seconds=0.3)
                if answer:
                    lines.append({"experts": experts, "active_experts": active, "k": k, "n": n,
                                  "rows_per_expert": count, **answer})
        return {"rows": lines, "library": f"PyTorch {self.torch.version}"}

    def attention(self):
        shapes = ("2x256",) if self.options.quick else ATTENTION
        prefill = 256 if self.options.quick else 2048
        for turn in self.rounds():
            for dtype in ("bf16", "int8"):
                self.store.add("attention", "moge", {"dtype": dtype}, self.moge.json(
                    f"attention {dtype}, {turn}", "bench", "attention", "--kv-dtypes", dtype,
                    "--shapes", *shapes, "--prefill", prefill))
                if self.torch and dtype != "int8":
                    self.store.add("attention", "torch", {"dtype": dtype},
                                   self.torch_attention(dtype, shapes, prefill, turn))

    def torch_attention(self, dtype, shapes, prefill, turn):
        lines = []
        for phase, shape in [*(("decode", s) for s in shapes), ("prefill", f"1x{prefill}")]:
            batch, context = map(int, shape.split("x"))
            answer = self.torch.ask(f"attention {phase} {shape} {dtype}, {turn}", op="attention",
                                    phase=phase, batch=batch, context=context, heads=40,
                                    kv_heads=8, head_dim=128, dtype=dtype, seconds=0.5)
            if answer:
                lines.append({"phase": phase, "batch": batch, "context": context, **answer})
        return {"rows": lines}

    def model(self):
        for model in self.options.models:
            for format in self.options.formats:
                for turn in range(self.options.model_rounds):
                    self.model_once(model, format, f"round {turn + 1}")
                if self.llama and not self.options.keep_models:
                    self.llama.drop(PEER_SHAPE.get(model), PEER_TYPE[format])

    def model_once(self, model, format, turn):
        quick = self.options.quick
        batches = ",".join(map(str, BATCHES[:2] if quick else BATCHES))
        halves = {
            "single": (("--batches", 0) + (("--pp", 64, "--tg", 8) if quick else ()),
                       ("--batches", "") + (("--pp", 64, "--tg", 8) if quick else ())),
            "batched": (("--pp", 0, "--tg", 0, "--batches", batches),
                        ("--pp", 16, "--tg", 1, "--batches", batches)),
        }
        for half, (ours, theirs) in halves.items():
            key, what = {"model": model, "format": format, "half": half}, f"{half}, {turn}"
            self.store.add("model", "moge", key, self.moge.json(
                f"{model} {format}, {what}", "bench", "model", f"preset:{model}", "--format",
                format, *ours))
            if self.llama and model in PEER_SHAPE:
                self.store.add("model", "llama.cpp", key, self.llama.bench(
                    PEER_SHAPE[model], PEER_TYPE[format], what, *theirs))

    def serve(self):
        for model in self.options.models:
            if model not in PEER_SHAPE or model == "pangu-pro-quarter":
                continue
            for who in ("moge", "llama.cpp") if self.llama else ("moge",):
                self.store.add("serve", who, {"model": model}, self.serve_once(who, model))
            if self.llama and not self.options.keep_models:
                self.llama.drop(PEER_SHAPE[model], "Q8_0")

    def serve_once(self, who, model):
        streams, prompt, answer = (4, 16, 8) if self.options.quick else (64, 256, 128)
        port, context = free_port(), prompt + answer + 16
        if who == "moge":
            command = self.moge.serve_command(f"preset:{model}", "w8a8", port, streams, context)
        else:
            path = self.llama.write_model(PEER_SHAPE[model], "Q8_0")
            if path is None:
                return None
            command = self.llama.serve_command(path, port, streams, context)
        with Server(command, port, f"{who}, {model} 8 bits") as server:
            if not server.wait():
                say("   failed: no answer from /health")
                return None
            return self.moge.json(
                f"as load on {who}: {model}", "bench", "serve", "--url", server.url,
                "--num-prompts", streams * self.options.waves, "--max-concurrency", streams,
                "--input-len", prompt, "--output-len", answer, "--request-timeout", 3600)

    def large(self):
        self.store.add("large", "moge", {"what": "model"}, self.moge.json(
            "2 of 48 layers of pangu-pro-72b-a16b", "bench", "model",
            "preset:pangu-pro-72b-a16b", "--num-layers", 2, "--format", "w4a8", "--batches", 0))
        self.store.add("large", "moge", {"what": "doctor"}, self.moge.json(
            "what all 48 layers could do here", "doctor", "preset:pangu-pro-72b-a16b", "--format",
            "w4a8"))
