#include "model_session.h"

#include <algorithm>

#include "byte_size.h"
#include "moge/core/error.h"
#include "moge/runtime/topology.h"
#include "open_tokenizer.h"

namespace moge {

namespace {

LoadedModel load(const EngineChoice& choice, Run& run, Arena& scratch) {
  ModelSource source = find_model(choice.model);
  LoadOptions options = choice.format.load_options(source);
  options.seed = run.common().seed;
  options.positions = choice.max_model_len;
  if (choice.load_format == "dummy") source.random_weights = true;
  return load_model(Context{run.pool(), run.table(), scratch}, source, options);
}

infer::SpeculationOptions speculation(const EngineChoice& choice) {
  if (choice.speculative_config.empty()) return choice.speculation;
  return infer::SpeculationOptions::parse(choice.speculative_config);
}

/// Pages for every sequence's longest context, within the memory that may be used.
int64_t choose_pages(const EngineChoice& choice, const ModelConfig& config, DType kv_dtype) {
  const int64_t context = choice.max_model_len > 0 ? choice.max_model_len : config.max_position;
  const int64_t per_sequence = (context + choice.block_size - 1) / choice.block_size;
  const int64_t page = infer::ModelRunner::page_bytes(config, choice.block_size, kv_dtype);
  const bool automatic = choice.kv_cache_memory == "auto" || choice.kv_cache_memory == "0";
  // Asked after the weights are there; the other half is for everybody else.
  const int64_t bytes =
      automatic ? memory_available() / 2 : parse_bytes(choice.kv_cache_memory, "kv-cache-memory");
  const int64_t fitting = bytes / page;
  check(fitting > 0, "a KV page of {} bytes does not fit into {} bytes: pass --kv-cache-memory",
        page, bytes);
  return automatic ? std::min(per_sequence * choice.max_num_seqs, fitting) : fitting;
}

}  // namespace

ModelSession::ModelSession(const EngineChoice& choice, Run& run)
    : load_scratch_(size_t{64} << 20, "load scratch"),
      loaded_(load(choice, run, load_scratch_)),
      tokenizer_(open_tokenizer(choice.model)) {
  if (!loaded_.source.folder.empty())
    chat_template_ = text::ChatTemplate::load(loaded_.source.folder);
  const DType kv_dtype = kv_dtype_of(choice.kv_cache_dtype, loaded_.model.dtype);
  const int64_t max_tokens = std::max(choice.max_num_batched_tokens, choice.max_num_seqs);
  choose_tiling(run, loaded_.model.weights, max_tokens, choice.tiling);
  const int64_t pages = choose_pages(choice, loaded_.model.config, kv_dtype);
  runner_ = std::make_unique<infer::ModelRunner>(
      run.pool(), run.table(), loaded_.model,
      infer::RunnerOptions{.max_tokens = max_tokens,
                           .max_sequences = choice.max_num_seqs,
                           .page_tokens = choice.block_size,
                           .num_pages = pages,
                           .kv_dtype = kv_dtype,
                           .commit_cache = choice.commit_kv_cache});
  experts_ = std::make_unique<infer::ExpertRecorder>(loaded_.model.config);
  engine_ = std::make_unique<infer::Engine>(
      *runner_, infer::EngineOptions{.max_model_len = choice.max_model_len,
                                     .max_num_seqs = choice.max_num_seqs,
                                     .max_num_batched_tokens = choice.max_num_batched_tokens,
                                     .enable_prefix_caching = choice.enable_prefix_caching,
                                     .speculation = speculation(choice),
                                     .observer = experts_.get()});
}

}  // namespace moge
