#include "moge/plan/activations.h"

namespace moge::plan {

namespace {

constexpr int64_t padded(int64_t bytes) { return arena_bytes(bytes); }

/// Bytes of a layer by when they are needed.
struct LayerBytes {
  int64_t always = 0;         ///< input and router losses: kept even if all is computed again
  int64_t backward_only = 0;  ///< norms' and softmaxes' statistics
  int64_t state = 0;          ///< results of the products and of attention
  int64_t cheap = 0;          ///< what selective recomputation makes again
  int64_t temporary = 0;      ///< read in forward only
  int64_t experts = 0;        ///< of these, what a fused op does without
};

LayerBytes layer_bytes(const ModelConfig& c, int64_t layer, int64_t T, int64_t w) {
  const int64_t D = c.hidden_size, H = c.num_heads, N = c.num_kv_heads;
  const int64_t A = c.q_width(), Q = A + c.kv_width(), P = c.qkv_width();
  const bool moe = c.layers[static_cast<size_t>(layer)].moe, normed = c.qk_norm != QkNorm::kNone;
  const bool per_head = c.qk_norm == QkNorm::kPerHead;
  const int64_t E = c.moe.num_experts, K = c.moe.top_k, S = moe ? c.moe.shared_width : 0;
  const int64_t R = moe ? T * K : T, F = moe ? c.moe.expert_width : c.dense_width;
  LayerBytes bytes;
  bytes.always = padded(4 * T * D);
  bytes.backward_only = 2 * padded(4 * T) + padded(4 * T * H);
  bytes.state = padded(w * T * P) + padded(w * T * A) + padded(4 * T * D) + padded(w * R * 2 * F);
  bytes.cheap = 2 * padded(w * T * D) + padded(w * R * F);
  bytes.experts = padded(w * R * 2 * F) + padded(w * R * F);
  if (normed) {
    bytes.backward_only += padded(4 * T * (per_head ? H : 1)) + padded(4 * T * (per_head ? N : 1));
    bytes.cheap += padded(w * T * Q);
  }
  if (moe) {
    bytes.always += padded(4 * E) + padded(4 * T);
    bytes.temporary = padded(4 * T * E) + padded(w * R * D);
    bytes.experts += padded(w * R * D);
    bytes.state += padded(4 * T * E) + 4 * padded(4 * T * K) + padded(4 * (E + 1));
  }
  if (S > 0) {
    bytes.state += padded(w * T * 2 * S);
    bytes.cheap += padded(w * T * S);
    bytes.experts += padded(w * T * 2 * S) + padded(w * T * S);
    if (c.moe.shared_gate) {
      bytes.state += padded(4 * T) + padded(w * T * D);
      bytes.experts += padded(w * T * D);
    }
  }
  return bytes;
}

}  // namespace

ActivationBytes layer_activation_bytes(const ModelConfig& config, int64_t layer, int64_t num_tokens,
                                       int64_t element_bytes, Recompute recompute) {
  const LayerBytes b = layer_bytes(config, layer, num_tokens, element_bytes);
  switch (recompute) {
    case Recompute::kOff:
      return {b.always + b.backward_only + b.state + b.cheap, b.temporary};
    case Recompute::kSelective:
      return {b.always + b.backward_only + b.state, b.cheap + b.temporary};
    case Recompute::kFull:
      break;
  }
  return {b.always, b.backward_only + b.state + b.cheap + b.temporary};
}

int64_t layer_inference_bytes(const ModelConfig& config, int64_t layer, int64_t num_tokens,
                              int64_t element_bytes, bool fused_experts) {
  const LayerBytes b = layer_bytes(config, layer, num_tokens, element_bytes);
  return b.state + b.cheap + b.temporary - (fused_experts ? b.experts : 0);
}

int64_t layer_gradient_bytes(const ModelConfig& c, int64_t layer, int64_t T, int64_t w) {
  const int64_t D = c.hidden_size;
  const int64_t A = c.q_width(), Q = A + c.kv_width(), P = c.qkv_width();
  const bool moe = c.layers[static_cast<size_t>(layer)].moe;
  const int64_t E = c.moe.num_experts, K = c.moe.top_k, S = moe ? c.moe.shared_width : 0;
  const int64_t R = moe ? T * K : T, F = moe ? c.moe.expert_width : c.dense_width;
  const bool gated = S > 0 && c.moe.shared_gate;

  int64_t bytes = padded(w * R * F) + padded(w * R * 2 * F) + padded(w * T * D);
  if (moe) {
    bytes += padded(w * R * D) + 2 * padded(4 * R) + padded(4 * T * K) + padded(w * T * E);
    if (c.moe.router_scale) bytes += padded(4 * E);
  }
  if (gated) bytes += padded(w * T * D) + padded(4 * T) + padded(w * T);
  if (S > 0) bytes += padded(w * T * S) + padded(w * T * 2 * S);
  bytes += 2 * padded(4 * T * D) + padded(w * T * D) + padded(w * T * A) + padded(w * T * P);
  if (c.qk_norm != QkNorm::kNone) bytes += padded(w * T * Q);
  return bytes;
}

int64_t head_chunk_rows(const ModelConfig& config, int64_t num_tokens) {
  constexpr int64_t kElements = int64_t{1} << 22;  // 16 MiB of logits, but at least 256 rows
  return std::min(num_tokens, std::max<int64_t>(256, kElements / config.vocab_size));
}

StepBytes step_activation_bytes(const ModelConfig& c, int64_t T, int64_t w, Recompute recompute) {
  StepBytes bytes;
  const int64_t D = c.hidden_size, V = c.vocab_size, C = head_chunk_rows(c, T);
  bytes.kept = 2 * padded(4 * T * D) + padded(w * T * D) + 3 * padded(4 * T);
  for (int64_t l = 0; l < c.num_layers(); ++l) {
    const ActivationBytes a = layer_activation_bytes(c, l, T, w, recompute);
    bytes.kept += a.kept;
    bytes.workspace = std::max(bytes.workspace, a.workspace);
    bytes.gradients = std::max(bytes.gradients, layer_gradient_bytes(c, l, T, w));
  }
  // Logits are fp32; in bf16 their gradient is a copy.
  bytes.head = padded(4 * T * D) + padded(4 * C * V) + (w == 2 ? padded(2 * C * V) : 0);
  return bytes;
}

}  // namespace moge::plan
