#!/usr/bin/env python3
"""Model folders that moge writes load in Hugging Face transformers with the same logits.

    venv/bin/python tests/tools/check_transformers.py build/release/moge [--folders DIR...]

`moge init` writes presets of every kind; without --folders those are checked, the grouped one through
the modeling files beside it (trust_remote_code). Each is run by both programs on the same tokens; the
grouped one must also generate the same text with transformers' cache as without. Exit status 1 on a
difference.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

PRESETS = ("tiny", "tiny-topk", "tiny-dense")
LIMIT = 5e-5


def logits_of_moge(moge, folder, sequences, scratch):
    inputs, dump = scratch / "inputs.json", scratch / "dump.safetensors"
    inputs.write_text(json.dumps(dict(sequences=sequences)))
    subprocess.run([moge, "inspect", str(folder), "--inputs", str(inputs), "--dump", str(dump), "--quiet"],
                   check=True, stdout=subprocess.DEVNULL)
    tensors = load_file(dump)
    return [tensors[f"seq{i}.logits"] for i in range(len(sequences))]


def check_folder(moge, folder, scratch):
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    sequences = [torch.randint(3, model.config.vocab_size, (n,), generator=generator).tolist() for n in (1, 9, 33)]
    worst = 0.0
    for ids, ours in zip(sequences, logits_of_moge(moge, folder, sequences, scratch)):
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits[0]
        worst = max(worst, (ours - theirs).abs().max().item())
    prompt = torch.tensor([sequences[1]])
    texts = [model.generate(prompt, max_new_tokens=12, do_sample=False, use_cache=cache, eos_token_id=None,
                            pad_token_id=0)[0].tolist() for cache in (True, False)]
    good = worst <= LIMIT and texts[0] == texts[1]
    print(f"{'ok  ' if good else 'FAIL'} {folder}: {type(model).__name__}, largest logit difference {worst:.1e}, "
          f"cache {'agrees' if texts[0] == texts[1] else 'DISAGREES'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("moge")
    parser.add_argument("--folders", nargs="*", default=[])
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        folders = [Path(folder) for folder in options.folders]
        for preset in () if folders else PRESETS:
            folders.append(scratch / preset.replace("-", "_"))
            subprocess.run([options.moge, "init", f"preset:{preset}", "--out", str(folders[-1]), "--dtype", "float32",
                            "--quiet"], check=True, stdout=subprocess.DEVNULL)
        results = [check_folder(options.moge, folder, scratch) for folder in folders]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
