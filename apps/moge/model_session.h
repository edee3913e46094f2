// A model ready to answer: weights, tokenizer, chat template, paged cache, engine.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "format_option.h"
#include "moge/infer/engine.h"
#include "moge/infer/expert_recorder.h"
#include "moge/infer/model_runner.h"
#include "moge/model/load.h"
#include "moge/text/chat_template.h"
#include "moge/text/tokenizer.h"
#include "run.h"
#include "tiling_option.h"

namespace moge {

/// Options that generate, chat and serve share; names of vLLM and llama.cpp.
struct EngineChoice {
  FormatOptions format;
  TilingOption tiling;
  std::string model, kv_cache_dtype = "auto", load_format = "auto";
  int64_t max_model_len = 0, max_num_seqs = 64, max_num_batched_tokens = 512, block_size = 32;
  std::string kv_cache_memory = "auto", speculative_config;
  bool enable_prefix_caching = true;
  infer::SpeculationOptions speculation;
  bool commit_kv_cache = false;  ///< not an option: what serves takes its memory before it answers

  void visit(FieldList& v) {
    v("model", model, "model folder, --save folder or preset:NAME")
        .positional()
        .required()
        .also("m");
    format.visit(v);
    tiling.visit(v);
    v("kv-cache-dtype", kv_cache_dtype,
      "of the KV cache; auto: as activations; int8: a scale per token and head")
        .one_of({"auto", "fp32", "bf16", "int8"});
    v("load-format", load_format, "dummy: seeded random weights in place of the files")
        .one_of({"auto", "safetensors", "dummy"});
    v("max-model-len", max_model_len, "longest context; 0: the model's")
        .at_least(0)
        .also("ctx-size");
    v("max-num-seqs", max_num_seqs, "sequences of one step").between(1, 4096).also("parallel");
    v("max-num-batched-tokens", max_num_batched_tokens, "new tokens of one step")
        .between(1, 1 << 16)
        .also("ubatch-size");
    v("block-size", block_size, "tokens of a KV page, a multiple of 16").between(16, 256);
    v("kv-cache-memory", kv_cache_memory,
      "bytes of KV cache, also as 4G; auto: what the sequences need, at most half of what is free")
        .also("kv-cache-memory-bytes");
    v("enable-prefix-caching", enable_prefix_caching,
      "requests that begin alike share what is computed");
    v("speculative-config", speculative_config,
      "vLLM's JSON: {\"method\":\"ngram\",\"num_speculative_tokens\":4}");
    v("num-speculative-tokens", speculation.num_speculative_tokens,
      "tokens to guess from the text so far in each step; 0: none")
        .between(0, 64)
        .also("draft-max");
    v("prompt-lookup-max", speculation.prompt_lookup_max, "longest run of tokens looked for")
        .between(1, 64);
    v("prompt-lookup-min", speculation.prompt_lookup_min, "shortest run of tokens looked for")
        .between(1, 64);
  }
};

class ModelSession {
 public:
  ModelSession(const EngineChoice& choice, Run& run);

  const std::string& name() const { return loaded_.source.name; }
  const ModelConfig& config() const { return loaded_.model.config; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const text::ChatTemplate* chat_template() const {
    return chat_template_ ? &*chat_template_ : nullptr;
  }
  infer::Engine& engine() { return *engine_; }
  infer::ExpertRecorder& experts() { return *experts_; }
  const Model& model() const { return loaded_.model; }
  int64_t weight_bytes() const { return loaded_.weight_bytes(); }

 private:
  Arena load_scratch_;
  LoadedModel loaded_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<text::ChatTemplate> chat_template_;
  std::unique_ptr<infer::ModelRunner> runner_;
  std::unique_ptr<infer::ExpertRecorder> experts_;
  std::unique_ptr<infer::Engine> engine_;
};

}  // namespace moge
