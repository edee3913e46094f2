// What a training run remembers between steps: weights, gradients, Adam's moments. 16 bytes a
// parameter in fp32, 18 in bf16 (fp32 masters and a bf16 copy of the matrices).
#pragma once

#include <cstdint>
#include <vector>

#include "moge/config/model_config.h"
#include "moge/config/train_config.h"
#include "moge/model/params.h"
#include "moge/ops/context.h"
#include "moge/runtime/arena.h"

namespace moge::train {

class TrainState {
 public:
  TrainState(const ModelConfig& config, bool bf16);

  /// Bytes of all buffers: what the formula of the class comment gives, tensors padded to 64 bytes.
  static int64_t bytes(const ModelConfig& config, bool bf16);

  const ModelConfig& config() const { return config_; }
  const std::vector<ParamTensor>& list() const { return list_; }
  const Params& weights() const { return weights_; }
  const Params& grads() const { return grads_; }
  const Params& exp_avg() const { return exp_avg_; }
  const Params& exp_avg_sq() const { return exp_avg_sq_; }
  Tensor bf16_flat() const { return bf16_flat_; }  ///< absent in fp32
  bool bf16() const { return bool{bf16_flat_}; }

  void zero_grads(const Context& context);
  /// L2 norm of all gradients: squares summed per checkpoint tensor in fp64, then in the order of
  /// the checkpoint's names, so that any layout over ranks can reach the same bits.
  double grad_norm(const Context& context) const;
  /// One AdamW update; `step` counts from 1.
  void update(const Context& context, const OptimizerConfig& options, double learning_rate,
              int64_t step, double grad_scale);
  /// Takes the weights and moments of `other`, which has the same shape (gradients stay).
  void copy_from(const TrainState& other);
  /// Copies the masters' matrices into the bf16 weights (after loading).
  void refresh_bf16(const Context& context);

 private:
  ModelConfig config_;
  std::vector<ParamTensor> list_;
  std::vector<Buffer> buffers_;
  Params weights_, grads_, exp_avg_, exp_avg_sq_;
  Tensor bf16_flat_;
  std::vector<Tensor> grads_by_name_;
};

}  // namespace moge::train
