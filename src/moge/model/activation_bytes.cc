// How many bytes the activations of a block take: closed formulas of the config, which the tests
// hold against what make_activations really takes.
#include "moge/model/activations.h"

namespace moge {

namespace {
int64_t padded(int64_t bytes) { return static_cast<int64_t>(Arena::padded(bytes)); }
}  // namespace

ActivationBytes activation_bytes(const ModelConfig& c, int64_t layer, int64_t T, DType dtype,
                                 Keep keep, Recompute recompute) {
  const int64_t w = size_of(dtype), D = c.hidden_size, H = c.num_heads, N = c.num_kv_heads;
  const int64_t A = c.q_width(), Q = A + c.kv_width(), P = c.qkv_width();
  const bool moe = c.layers[layer].moe, normed = c.qk_norm != QkNorm::kNone;
  const bool per_head = c.qk_norm == QkNorm::kPerHead;
  const int64_t E = c.moe.num_experts, K = c.moe.top_k, S = moe ? c.moe.shared_width : 0;
  const int64_t R = moe ? T * K : T, F = moe ? c.moe.expert_width : c.dense_width;

  const int64_t always = padded(4 * T * D) + (moe ? padded(4 * E) + padded(4 * T) : 0);
  const int64_t backward_only =
      2 * padded(4 * T) + padded(4 * T * H) +
      (normed ? padded(4 * T * (per_head ? H : 1)) + padded(4 * T * (per_head ? N : 1)) : 0);
  int64_t state = padded(w * T * P) + padded(w * T * A) + padded(4 * T * D) + padded(w * R * 2 * F);
  int64_t cheap = 2 * padded(w * T * D) + (normed ? padded(w * T * Q) : 0) + padded(w * R * F);
  int64_t temporary = 0;
  if (moe) {
    temporary = padded(4 * T * E);
    state += padded(4 * T * E) + 4 * padded(4 * T * K) + padded(4 * (E + 1)) + padded(w * R * D);
    cheap += padded(w * R * D);
  }
  if (S > 0) {
    state += padded(w * T * 2 * S);
    cheap += padded(w * T * S);
    if (c.moe.shared_gate) state += padded(4 * T) + padded(w * T * D);
  }
  if (keep == Keep::kInference) return {0, state + cheap + temporary};
  switch (recompute) {
    case Recompute::kOff:
      return {always + backward_only + state + cheap, temporary};
    case Recompute::kSelective:
      return {always + backward_only + state, cheap + temporary};
    case Recompute::kFull:
      break;
  }
  return {always, backward_only + state + cheap + temporary};
}

int64_t gradient_bytes(const ModelConfig& c, int64_t layer, int64_t T, DType dtype) {
  const int64_t w = size_of(dtype), D = c.hidden_size;
  const int64_t A = c.q_width(), Q = A + c.kv_width(), P = c.qkv_width();
  const bool moe = c.layers[layer].moe;
  const int64_t E = c.moe.num_experts, K = c.moe.top_k, S = moe ? c.moe.shared_width : 0;
  const int64_t R = moe ? T * K : T, F = moe ? c.moe.expert_width : c.dense_width;
  const bool gated = S > 0 && c.moe.shared_gate;

  int64_t bytes = padded(w * R * F) + padded(w * R * 2 * F);
  if (!moe || (S > 0 && !gated)) bytes += padded(w * T * D);
  if (moe) {
    bytes += 2 * padded(w * R * D) + padded(4 * T * K) + padded(w * T * E);
    if (c.moe.router_scale) bytes += padded(4 * E);
  }
  if (gated) bytes += padded(w * T * D) + padded(4 * T) + padded(w * T);
  if (S > 0) bytes += padded(w * T * S) + padded(w * T * 2 * S);
  bytes += 2 * padded(4 * T * D) + padded(w * T * D) + padded(w * T * A) + padded(w * T * P);
  if (c.qk_norm != QkNorm::kNone) bytes += padded(w * T * Q);
  return bytes;
}

}  // namespace moge
