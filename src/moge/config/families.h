// What sets the model families apart: one row each, read by model_config.cc. Defaults are those of
// Hugging Face transformers, for keys that a config.json leaves out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moge/config/model_config.h"

namespace moge {

struct Family {
  /// Which layers have a sliding window, in the way transformers decides it.
  enum class Window {
    kNone,        ///< sliding_window is not looked at
    kAll,         ///< every layer, where sliding_window is not null
    kAllIfUsed,   ///< every layer, where use_sliding_window is true
    kFromLayer,   ///< layer_types; without it, layers from max_window_layers on
    kAlternating  ///< layer_types; without it, every other layer below max_window_layers
  };
  enum class Bias { kNone, kQkv, kQkvByKey, kAllByKey, kAll };
  enum class Renormalize { kNever, kAlways, kByKey };

  const char* model_type;
  const char* architecture;
  int64_t vocab, hidden, dense_width, layers, heads;
  int64_t kv_heads;  ///< 0: as many as heads
  int64_t head_dim;  ///< 0: hidden / heads
  int64_t max_position;
  double rms_norm_eps, rope_theta;
  Bias bias;
  QkNorm qk_norm;
  Window window;
  int64_t window_tokens;                 ///< 0: null
  int64_t experts, top_k, expert_width;  ///< expert_width 0: intermediate_size
  int64_t shared_width;
  Renormalize renormalize;
  double aux_loss_coeff;
  int32_t bos, eos, pad;  ///< -1: none

  bool is(std::string_view type) const { return type == model_type; }
  bool moe() const { return experts > 0; }
  bool some_layers_dense() const { return is("qwen2_moe") || is("qwen3_moe"); }
  bool grouped() const { return is("PanguProMoE"); }
};

/// Throws with the known ones if there is no such family.
const Family& family_of(std::string_view model_type, std::string_view where);

}  // namespace moge
