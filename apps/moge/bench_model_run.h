// What `moge bench model` measures: prompts, single streams and batches, with what they read and
// compute. llama-bench's and llama-batched-bench's definitions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "moge/infer/model_runner.h"
#include "moge/model/load.h"
#include "moge/ops/peaks.h"
#include "moge/runtime/profiler.h"

namespace moge {

/// The machine's limits, as measured around a group of rows.
struct BenchLimits {
  ComputePeaks peak;
  double read_gb_s = 0;
  void take_larger(const BenchLimits& other);
};

/// One measured row: medians over repetitions, and what its steps touched.
struct BenchRow {
  double seconds = 0;           ///< median
  double last_seconds = 0;      ///< of the last repetition, which a profile is of
  int64_t tokens = 0;           ///< that `seconds` counts for
  double bytes = 0;             ///< distinct experts, other weights, head, scales, KV
  double weight_flops = 0;      ///< products in the format of the weights
  double float_flops = 0;       ///< attention, router and matrices that stayed floats
  double distinct_experts = 0;  ///< mean over steps and MoE layers
  double tok_s() const { return static_cast<double>(tokens) / seconds; }
};

/// Bytes and operations of a loaded model, by layer.
class ModelCost {
 public:
  ModelCost(const kernels::Table& table, const Model& model);
  /// Weights that one token reads.
  int64_t active_bytes() const;
  /// Adds a step's reading of weights; `distinct` has the experts touched in each layer, and the
  /// head is read where logits are wanted.
  void add_weights(BenchRow& row, const std::vector<int64_t>& distinct, int64_t tokens,
                   int64_t logits) const;

 private:
  struct Cost {
    int64_t bytes = 0, quantized = 0, floats = 0;  ///< parameters in either form
    void add(const kernels::Table& table, const Weight& w, int64_t of_experts = 1);
  };
  std::vector<Cost> fixed_, expert_;  ///< by layer; one expert
  Cost head_;
  int64_t top_k_;
};

class BenchModel {
 public:
  struct Options {
    int64_t prompt = 512, predict = 128, repetitions = 5;
    std::vector<int64_t> batches;
    int64_t batch_prompt = 128, batch_predict = 32;
    DType kv_dtype = DType::kBF16;
    uint64_t seed = 0;
    Profiler* profiler = nullptr;  ///< holds each row's last repetition
  };
  BenchModel(ThreadPool& threads, const kernels::Table& table, const Model& model,
             const Options& options);

  BenchRow prompt();
  BenchRow predict();
  /// Prompts of all batches are computed once, before the first.
  BenchRow batch(int64_t streams);
  const ModelCost& cost() const { return cost_; }

 private:
  struct Stream {
    std::vector<int32_t> pages;
    std::vector<int32_t> prompt;
  };
  int32_t token(int64_t stream, int64_t position) const;
  infer::StepSlice slice(int64_t stream, std::span<const int32_t> ids, int64_t first) const;
  /// Steps that begin at `first`, one token a stream each.
  double decode(int64_t streams, int64_t first, int64_t steps, BenchRow& row);
  void count(const std::vector<infer::StepSlice>& slices, BenchRow& row);
  void fill_prompts();
  void clear_profile();

  const Model& model_;
  Options options_;
  ModelCost cost_;
  std::unique_ptr<infer::ModelRunner> runner_;
  std::vector<Stream> streams_;
  bool prompts_filled_ = false;
};

}  // namespace moge
