#!/usr/bin/env python3
"""Makes tests/goldens: tiny random models and what Hugging Face transformers computes with them.

    python3 -m venv venv && venv/bin/pip install torch transformers safetensors
    venv/bin/python tests/tools/make_goldens.py [--out tests/goldens] [--only NAME]

A folder holds the checkpoint, inputs.json (sequences run alone from position 0), golden.safetensors
(logits, states, routing, loss, gradients of the last sequence's loss by checkpoint name) and greedy.json.
The grouped model runs through our own modeling files (src/moge/model/hf) and also gets
golden_aux.safetensors (with the balancing loss) and train.json (AdamW, step by step). Seeds are drawn
again until no routing choice and no greedy token hangs on rounding.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
MODELING = ROOT / "src/moge/model/hf"
LENGTHS = (1, 11, 24)
GREEDY = 12
MARGIN = 1e-3
ALPHA = 0.01

SMALL = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2, vocab_size=96,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
MOE = dict(moe_intermediate_size=10, num_experts=6, num_experts_per_tok=2)
CASES = {
    "pangu_pro_moe": dict(family="PanguProMoE", num_experts=8, num_expert_groups=4, num_experts_per_tok=4,
                          moe_intermediate_size=10, shared_expert_intermediate_size=20),
    "olmoe": dict(family="olmoe", num_key_value_heads=4, intermediate_size=10, num_experts=6, num_experts_per_tok=2),
    "mixtral_window": dict(family="mixtral", intermediate_size=12, num_local_experts=4, sliding_window=6),
    "qwen2_moe_window": dict(family="qwen2_moe", intermediate_size=40, shared_expert_intermediate_size=18, **MOE,
                             num_hidden_layers=3, mlp_only_layers=[1], use_sliding_window=True, sliding_window=5),
    "qwen3_moe": dict(family="qwen3_moe", head_dim=12, intermediate_size=40, norm_topk_prob=True, **MOE),
    "llama_rope3": dict(family="llama", intermediate_size=44, tie_word_embeddings=True, attention_bias=True,
                        rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0,
                                             high_freq_factor=4.0, original_max_position_embeddings=16)),
    "mistral_window": dict(family="mistral", head_dim=12, intermediate_size=44, sliding_window=7),
    "qwen2_layer_types": dict(family="qwen2", intermediate_size=44, num_hidden_layers=3, use_sliding_window=True,
                              sliding_window=4, layer_types=["full_attention", "sliding_attention", "full_attention"]),
    "qwen3_linear": dict(family="qwen3", head_dim=12, intermediate_size=44,
                         rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0)),
}


def is_grouped(case):
    return case["family"] == "PanguProMoE"


def empty_model(case, folder):
    values = {**SMALL, **case}
    family = values.pop("family")
    if family != "PanguProMoE":
        config = AutoConfig.for_model(family, **values)
        return AutoModelForCausalLM.from_config(config, attn_implementation="eager", experts_implementation="eager",
                                                dtype=torch.float32).eval()
    folder.mkdir(parents=True)
    for file in MODELING.glob("*.py"):
        shutil.copy(file, folder)
    values.update(model_type=family, architectures=["PanguProMoEForCausalLM"], auto_map={
        "AutoConfig": "configuration_pangu_moe.PanguProMoEConfig",
        "AutoModelForCausalLM": "modeling_pangu_moe.PanguProMoEForCausalLM"})
    (folder / "config.json").write_text(json.dumps(values, indent=1))
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    return AutoModelForCausalLM.from_config(config, trust_remote_code=True, dtype=torch.float32).eval()


def draw(model, generator):
    """Weights with opinions: routers and heads that choose clearly, biases and norms that are felt."""
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        if "norm" in name or name.endswith("router_scale"):
            weight.data = 1.0 + 0.3 * noise
        elif name.endswith("bias"):
            weight.data = 0.1 * noise
        else:
            weight.data = (0.1 if "embed" in name and model.config.tie_word_embeddings else 0.2) * noise


def choices(model):
    """Calls of every router of the model: a list of (layer, logits, weights, ids) that fills as it runs."""
    seen = []
    for index, layer in enumerate(model.model.layers):
        for module in layer.modules():
            if type(module).__name__ == "PanguGroupedExperts":
                module.route = watched_route(module.route, index, seen)
            elif type(module).__name__.endswith("Router"):
                module.register_forward_hook(
                    lambda _, __, out, at=index: seen.append((at, out[0], out[1], out[2])))
    return seen


def watched_route(route, index, seen):
    def wrapped(x):
        logits, ids, weights = route(x)
        seen.append((index, logits, weights, ids))
        return logits, ids, weights

    return wrapped


def margin(case, seen):
    """The smallest gap between a chosen and a refused logit (in the same group)."""
    gaps = [1.0]
    for _, logits, _, ids in seen:
        groups = case.get("num_expert_groups", 1)
        ranked = logits.view(-1, logits.shape[-1] // groups).sort(-1, descending=True).values
        chosen = ids.shape[-1] // groups
        if chosen < ranked.shape[-1]:
            gaps.append((ranked[:, chosen - 1] - ranked[:, chosen]).min().item())
    return min(gaps)


def record(model, ids, seen):
    """Everything about one sequence."""
    values, handles = {}, []

    def watch(module, key):
        def hook(_, __, out):
            values[key] = (out[0] if isinstance(out, tuple) else out)[0]

        handles.append(module.register_forward_hook(hook))

    for index, layer in enumerate(model.model.layers):
        watch(layer, f"hidden.{index}")
        watch(layer.self_attn, f"attn.{index}")
        watch(layer.mlp, f"mlp.{index}")
    watch(model.model.norm, "final_norm")
    seen.clear()
    with torch.no_grad():
        values["logits"] = model(ids[None], use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    for index, logits, weights, chosen in seen:
        values[f"router_logits.{index}"] = logits
        values[f"router_weights.{index}"] = weights
        values[f"router_ids.{index}"] = chosen.to(torch.int32)
    if len(ids) > 1:
        values["loss"] = next_token_loss(values["logits"][None], ids[None])[None]
    return values


def next_token_loss(logits, ids):
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def balancing_losses(seen):
    """alpha * sum_i f_i p_i of every layer, f_i = E / (K T) * tokens that chose i."""
    losses = []
    for _, logits, _, ids in seen:
        tokens, experts = logits.shape
        share = torch.bincount(ids.flatten(), minlength=experts) * (experts / (ids.shape[1] * tokens))
        losses.append(ALPHA * (share * torch.softmax(logits, -1).mean(0)).sum())
    return losses


def backward(model, ids, seen, aux):
    """Gradients by parameter, with the balancing losses where `aux`; returns (loss, balancing losses)."""
    model.zero_grad()
    seen.clear()
    loss = next_token_loss(model(ids, use_cache=False).logits, ids)
    extra = balancing_losses(seen) if aux else []
    (loss + sum(extra)).backward()
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return loss.item(), [value.item() for value in extra]


def by_checkpoint_name(case, tensors):
    """Stacked experts of memory become the single matrices of the disk."""
    mixtral = case["family"] == "mixtral"
    gate, up, down = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
    named = {}
    for name, value in tensors.items():
        name = name.replace(".mlp.", ".block_sparse_moe.") if mixtral else name
        stem = name.rpartition(".")[0]
        if name.endswith("experts.gate_up_proj"):
            for e, matrix in enumerate(value):
                named[f"{stem}.{e}.{gate}.weight"], named[f"{stem}.{e}.{up}.weight"] = matrix.chunk(2)
        elif name.endswith("experts.down_proj"):
            named.update({f"{stem}.{e}.{down}.weight": matrix for e, matrix in enumerate(value)})
        else:
            named[name] = value
    return named


def save(path, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path, metadata={"format": "pt"})
    path.chmod(0o644)


def greedy(model, prompt):
    ids, tokens, top, second = prompt, [], [], []
    for _ in range(GREEDY):
        with torch.no_grad():
            best = model(ids[None], use_cache=False).logits[0, -1].topk(2)
        tokens.append(best.indices[0].item())
        top.append(best.values[0].item())
        second.append(best.values[1].item())
        ids = torch.cat((ids, best.indices[:1]))
    return dict(prompt=prompt.tolist(), tokens=tokens, top_logit=top, second_logit=second), ids


def stable_inputs(case, model, seen):
    for seed in range(4000):
        generator = torch.Generator().manual_seed(seed)
        draw(model, generator)
        sequences = [torch.randint(3, SMALL["vocab_size"], (n,), generator=generator) for n in LENGTHS]
        text, whole = greedy(model, sequences[1])
        gap = min(a - b for a, b in zip(text["top_logit"], text["second_logit"]))
        if gap < MARGIN or len(set(text["tokens"])) < 4 or 2 in text["tokens"]:
            continue
        gaps = []
        for ids in sequences + [whole]:
            record(model, ids, seen)
            gaps.append(margin(case, seen))
        if min(gaps) >= MARGIN:
            return sequences, text
    raise SystemExit("no stable seed")


def train(case, model, seen, folder, steps=8):
    """Torch's AdamW on random batches; decay on matrices except router_scale. Changes the model."""
    named = dict(model.named_parameters())
    decayed = [p for n, p in named.items() if p.dim() >= 2 and "router_scale" not in n]
    others = [p for n, p in named.items() if p.dim() < 2 or "router_scale" in n]
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=0.1), dict(params=others, weight_decay=0.0)],
                                  lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    generator = torch.Generator().manual_seed(7)
    batches = torch.randint(3, SMALL["vocab_size"], (steps, 3, 16), generator=generator)
    log = []
    for ids in batches:
        loss, aux = backward(model, ids, seen, aux=True)
        gap = margin(case, seen)
        norm = torch.nn.utils.clip_grad_norm_(named.values(), 1.0).item()
        optimizer.step()
        log.append(dict(cross_entropy=loss, aux_loss=aux, grad_norm=norm, router_margin=gap))
    assert min(step["router_margin"] for step in log) > 2e-5, "a routing choice of the training run is a near tie"
    sums = {}
    for name, value in by_checkpoint_name(case, named).items():
        flat = value.detach().double().flatten()
        places = [0, len(flat) // 3, 2 * len(flat) // 3, len(flat) - 1]
        sums[name] = dict(l2=flat.norm().item(), samples=flat[places].tolist())
    write_json(folder / "train.json", dict(optimizer=dict(aux_loss_alpha=ALPHA), batches=batches.tolist(), steps=log,
                                           final_weights=sums))


def write_json(path, values):
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in values.items()) + "\n}\n")


def make(name, case, out):
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    model = empty_model(case, folder)
    seen = choices(model)
    sequences, text = stable_inputs(case, model, seen)
    folder.mkdir(parents=True, exist_ok=True)
    golden = {f"seq{i}.{k}": v for i, ids in enumerate(sequences) for k, v in record(model, ids, seen).items()}
    backward(model, sequences[-1][None], seen, aux=False)
    grads = by_checkpoint_name(case, {n: p.grad for n, p in model.named_parameters()})
    save(folder / "golden.safetensors", {**golden, **{f"grad.{n}": g for n, g in grads.items()}})
    weights = by_checkpoint_name(case, dict(model.named_parameters()))
    if is_grouped(case):
        save(folder / "model.safetensors", weights)
        _, aux = backward(model, sequences[-1][None], seen, aux=True)
        grads = {f"grad.{n}": p.grad for n, p in model.named_parameters()}
        save(folder / "golden_aux.safetensors", {"aux_loss": torch.tensor(aux), **grads})
        train(case, model, seen, folder)
        for file in folder.glob("*.py"):
            file.unlink()  # the model folders that moge writes carry them
        config = json.loads((folder / "config.json").read_text())
        del config["auto_map"]
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    else:
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        saved = load_file(folder / "model.safetensors")
        assert all(torch.equal(saved[n], weights[n]) for n in saved) and saved.keys() <= weights.keys()
    write_json(folder / "inputs.json", dict(sequences=[ids.tolist() for ids in sequences]))
    write_json(folder / "greedy.json", text)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {size / 1024:.0f} KiB", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "tests/goldens")
    parser.add_argument("--only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for name, case in CASES.items():
        if options.only in (None, name):
            make(name, case, options.out)


if __name__ == "__main__":
    main()
