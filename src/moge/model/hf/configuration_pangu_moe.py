"""Configuration of Pangu Pro MoE for Hugging Face transformers, written by moge beside a model.

The keys are those of the released model, plus `num_expert_groups` (the released model has 8).
"""

from transformers import PretrainedConfig


class PanguProMoEConfig(PretrainedConfig):
    model_type = "PanguProMoE"
    keys_to_ignore_at_inference = ["past_key_values"]

    def __init__(
        self,
        vocab_size=153376,
        hidden_size=5120,
        num_hidden_layers=48,
        num_attention_heads=40,
        num_key_value_heads=8,
        head_dim=None,
        hidden_act="silu",
        max_position_embeddings=131072,
        initializer_range=0.02,
        rms_norm_eps=1e-5,
        use_cache=True,
        rope_theta=16000000.0,
        rope_scaling=None,
        moe_intermediate_size=1344,
        shared_expert_intermediate_size=5376,
        num_experts=64,
        num_experts_per_tok=8,
        num_expert_groups=8,
        output_router_logits=False,
        router_aux_loss_coef=0.001,
        attention_dropout=0.0,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        tie_word_embeddings=False,
        **kwargs,
    ):
        if num_experts % num_expert_groups or num_experts_per_tok % num_expert_groups:
            raise ValueError(
                f"num_experts {num_experts} and num_experts_per_tok {num_experts_per_tok} "
                f"must be divisible by num_expert_groups {num_expert_groups}"
            )
        if rope_scaling:
            raise ValueError("this file implements unscaled RoPE only")
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim or hidden_size // num_attention_heads
        self.hidden_act = hidden_act
        self.max_position_embeddings = max_position_embeddings
        self.initializer_range = initializer_range
        self.rms_norm_eps = rms_norm_eps
        self.use_cache = use_cache
        self.moe_intermediate_size = moe_intermediate_size
        self.shared_expert_intermediate_size = shared_expert_intermediate_size
        self.num_experts = num_experts
        self.num_experts_per_tok = num_experts_per_tok
        self.num_expert_groups = num_expert_groups
        self.output_router_logits = output_router_logits
        self.router_aux_loss_coef = router_aux_loss_coef
        self.attention_dropout = attention_dropout
        super().__init__(
            bos_token_id=bos_token_id,
            eos_token_id=eos_token_id,
            pad_token_id=pad_token_id,
            tie_word_embeddings=tie_word_embeddings,
            **kwargs,
        )
        self.rope_theta = rope_theta  # last: newer versions move it elsewhere, this file reads it here
