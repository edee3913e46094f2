#!/usr/bin/env python3
"""Folders that moge quantize writes, read by PyPI's compressed-tensors.

    venv/bin/python tests/tools/check_compressed_tensors.py build/release/moge SCRATCH

For presets with widths that 128 divides and with widths that it does not, in both formats:
  - the library reads quantization_config, and every tensor is either one that its group's
    compressor names, or is ignored;
  - its decompress() gives, bit for bit, q * scale as moge computes with: the same matrices that
    moge writes when it is asked for the folder in floats again (bf16: rounded once, from them);
  - its quantize() of the unquantized matrices with our scales gives our integers.
Exit status 1 on a difference.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.lifecycle.forward import quantize
from safetensors.torch import load_file

PRESETS = ("tiny", "demo", "small-topk", "tiny-dense")


def run(moge, *arguments):
    subprocess.run([moge, *map(str, arguments), "--quiet"], check=True, stdout=subprocess.DEVNULL)


def load_folder(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def matches(name, targets):
    return any(re.match(t[3:], name) if t.startswith("re:") else t == name for t in targets)


def scheme_of(module, config):
    found = [s for s in config.config_groups.values() if s.targets == ["Linear"] or matches(module, s.targets)]
    assert len(found) == 1, f"{module} is in {len(found)} groups"
    return found[0]


def check_module(module, tensors, config, original, back):
    scheme = scheme_of(module, config)
    compressor = BaseCompressor.get_value_from_registry(scheme.format)
    names = compressor.compression_param_names(scheme)
    state = {name: tensors.pop(f"{module}.{name}") for name in names}
    whole = compressor.decompress(state, scheme)["weight"]
    assert whole.dtype == torch.float32
    assert torch.equal(whole.to(torch.bfloat16), back), f"{module}: moge reads other values"
    ours = torch.round(whole / state["weight_scale"].repeat_interleave(
        whole.shape[1] // state["weight_scale"].shape[1], dim=1)).to(torch.int8)
    theirs = quantize(x=original, scale=state["weight_scale"], zero_point=None, args=scheme.weights, dtype=torch.int8)
    assert torch.equal(ours, theirs), f"{module}: quantize() rounds to other integers"


def check_folder(moge, source, format, scratch):
    folder, floats = scratch / f"{source.name}_{format}", scratch / f"{source.name}_{format}_bf16"
    run(moge, "quantize", source, "--format", format, "--out", folder, "--max-shard-size", 0.002)
    run(moge, "quantize", folder, "--format", "bf16", "--out", floats)
    config = QuantizationConfig.model_validate(json.loads((folder / "config.json").read_text())["quantization_config"])
    tensors, original, back = load_folder(folder), load_folder(source), load_folder(floats)
    modules = 0
    for name in list(original):
        module, _, kind = name.rpartition(".")
        if kind != "weight" or original[name].dim() != 2 or "embed_tokens" in module:
            continue
        if matches(module, config.ignore):
            assert torch.equal(tensors.pop(name), original[name]), f"{name} was to be kept"
            continue
        check_module(module, tensors, config, original[name].float(), back[name])
        modules += 1
    left = [name for name, tensor in tensors.items() if name not in original or not torch.equal(tensor, original[name])]
    assert not left, f"tensors that nobody asked for or that changed: {left[:3]}"
    sizes = sorted({s.weights.group_size for s in config.config_groups.values()} - {None})
    print(f"ok   {folder.name}: {modules} matrices" + (f", groups of {sizes}" if sizes else ""), flush=True)


def main():
    moge, scratch = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    for preset in PRESETS:
        source = scratch / preset.replace("-", "_")
        run(moge, "init", f"preset:{preset}", "--out", source, "--dtype", "float32")
        for format in ("w8a8", "w4a8"):
            check_folder(moge, source, format, scratch)


if __name__ == "__main__":
    main()
