// One step of a model over any number of sequences, with a paged KV cache. Everything it needs is
// allocated at construction; a step allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "moge/model/model.h"
#include "moge/ops/context.h"

namespace moge::infer {

struct RunnerOptions {
  int64_t max_tokens = 512;      ///< new tokens in one step
  int64_t max_sequences = 64;    ///< sequences in one step
  int64_t page_tokens = 32;      ///< a multiple of 16
  int64_t num_pages = 0;         ///< of the KV cache, shared by all sequences
  DType kv_dtype = DType::kF32;  ///< kF32, kBF16 or kI8
  bool commit_cache = false;     ///< takes the cache's memory from the system at construction
};

/// One sequence's share of a step.
struct StepSlice {
  std::span<const int32_t> ids;    ///< new tokens, at least one
  int64_t first_position = 0;      ///< absolute position of the first
  std::span<const int32_t> pages;  ///< page table up to the last new position
  bool wants_logits = false;       ///< of the last new token
  int64_t logit_rows = 1;          ///< if so, of that many last ones
  bool wants_plain_topk = false;   ///< second half of experts(), of the rows with logits
};

/// The model must outlive its runner.
class ModelRunner {
 public:
  ModelRunner(ThreadPool& threads, const kernels::Table& table, const Model& model,
              RunnerOptions options);
  ~ModelRunner();

  /// Computes the new rows and writes their keys and values. Throws Error on a token id outside the
  /// vocabulary; more tokens or sequences than the options allow is our own mistake.
  void step(std::span<const StepSlice> slices);

  /// Logits of the i-th row that was wanted; the caller may overwrite them. They are computed in
  /// blocks of max_sequences rows, i / max_sequences being the block; a call for another block
  /// replaces the present one.
  std::span<float> logits(int64_t i);
  /// Experts of row `row` of the step: [2][layers][top_k], -1 in dense layers. First those that
  /// computed it; then those that plain top-K without groups would have taken (-1: not asked,
  /// save a few rows of every fourth step).
  std::span<const int32_t> experts(int64_t row) const;

  /// Adds the last hidden states, as the final norm leaves them, of rows of the step.
  void add_hidden(int64_t first_row, int64_t rows, std::span<double> sum_D);

  ThreadPool& threads() const;  ///< idle between two steps
  const ModelConfig& config() const;
  const RunnerOptions& options() const;
  /// Bytes of one page over all layers.
  static int64_t page_bytes(const ModelConfig& config, int64_t page_tokens, DType kv_dtype);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moge::infer
