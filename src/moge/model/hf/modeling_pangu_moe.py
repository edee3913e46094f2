"""Pangu Pro MoE for Hugging Face transformers, written by moge beside a model (trust_remote_code=True).

Plain PyTorch, meant to be read and compared with: a pre-norm decoder whose MLP is a mixture of grouped
experts. Of every group of num_experts / num_expert_groups adjacent experts a token takes the best
num_experts_per_tok / num_expert_groups, by a softmax over all experts; a learned router_scale multiplies
the chosen weights, and one shared expert is always on.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_pangu_moe import PanguProMoEConfig


class PanguRMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class PanguMLP(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


def rotate(x, cos, sin):
    """x [B, heads, T, C]; element i of the first half turns together with element i of the second."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class PanguAttention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        queries = config.num_attention_heads * config.head_dim
        keys = config.num_key_value_heads * config.head_dim
        self.share = config.num_attention_heads // config.num_key_value_heads
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=True)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=True)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=True)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=True)

    def forward(self, x, cos, sin, mask, cache):
        batch, tokens, _ = x.shape

        def heads(y):
            return y.view(batch, tokens, -1, self.head_dim).transpose(1, 2)

        q, k, v = heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.update(k, v, self.layer)
        k, v = k.repeat_interleave(self.share, dim=1), v.repeat_interleave(self.share, dim=1)
        score = q @ k.transpose(-1, -2) * self.head_dim**-0.5
        score = score.masked_fill(~mask, torch.finfo(score.dtype).min)
        score = F.softmax(score, dim=-1, dtype=torch.float32).to(q.dtype)
        return self.o_proj((score @ v).transpose(1, 2).reshape(batch, tokens, -1))


class PanguGroupedExperts(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.groups = config.num_expert_groups
        self.per_group = config.num_experts_per_tok // config.num_expert_groups
        hidden, width = config.hidden_size, config.moe_intermediate_size
        self.gate = nn.Linear(hidden, config.num_experts, bias=False)
        self.router_scale = nn.Parameter(torch.ones(1, config.num_experts))
        self.experts = nn.ModuleList(PanguMLP(hidden, width) for _ in range(config.num_experts))
        self.shared_expert = PanguMLP(hidden, config.shared_expert_intermediate_size)

    def route(self, x):
        """x [S, D] -> logits [S, E], ids [S, K] and weights [S, K] of the chosen experts."""
        logits = self.gate(x)
        probs = F.softmax(logits, dim=-1, dtype=torch.float32)
        size = probs.shape[-1] // self.groups
        best, place = probs.view(-1, self.groups, size).topk(self.per_group, dim=-1)
        first = torch.arange(self.groups, device=x.device)[:, None] * size
        ids = (place + first).flatten(1)
        return logits, ids, best.flatten(1).to(x.dtype) * self.router_scale[0, ids]

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        _, ids, weights = self.route(rows)
        out = torch.zeros_like(rows)
        for index, expert in enumerate(self.experts):
            token, slot = torch.where(ids == index)
            if len(token):
                out = out.index_add(0, token, expert(rows[token]) * weights[token, slot, None])
        return (out + self.shared_expert(rows)).view_as(x)


class PanguDecoderLayer(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.self_attn = PanguAttention(config, layer)
        self.mlp = PanguGroupedExperts(config)
        self.input_layernorm = PanguRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = PanguRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, cos, sin, mask, cache):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class PanguProMoEPreTrainedModel(PreTrainedModel):
    config_class = PanguProMoEConfig
    base_model_prefix = "model"
    _no_split_modules = ["PanguDecoderLayer"]

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, PanguRMSNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, PanguGroupedExperts):
            nn.init.ones_(module.router_scale)


class PanguProMoEModel(PanguProMoEPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(PanguDecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = PanguRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def angles(self, positions, dtype):
        """positions [B, T] -> cos and sin [B, 1, T, C / 2]."""
        dim = self.config.head_dim
        power = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32) / dim
        angle = positions[:, None, :, None].float() * self.config.rope_theta**-power
        return angle.cos().to(dtype), angle.sin().to(dtype)

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
                inputs_embeds=None, **_):
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        batch, tokens, _ = x.shape
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        place = torch.arange(seen, seen + tokens, device=x.device)
        if position_ids is None:
            position_ids = place[None].expand(batch, -1)
        mask = torch.arange(seen + tokens, device=x.device)[None, :] <= place[:, None]
        mask = mask[None, None]
        if attention_mask is not None and attention_mask.dim() == 2:
            mask = mask & attention_mask[:, None, None, : seen + tokens].bool()
        cos, sin = self.angles(position_ids, x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, mask, past_key_values)
        return self.norm(x)


class PanguProMoEForCausalLM(PanguProMoEPreTrainedModel, GenerationMixin):
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.model = PanguProMoEModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def set_input_embeddings(self, value):
        self.model.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
                inputs_embeds=None, labels=None, use_cache=None, logits_to_keep=0, **_):
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        hidden = self.model(input_ids, attention_mask, position_ids, past_key_values if use_cache else None,
                            inputs_embeds)
        logits = self.lm_head(hidden[:, -logits_to_keep:] if logits_to_keep else hidden)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=past_key_values)
