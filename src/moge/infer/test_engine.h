// A small model with seeded random weights behind an engine, for tests.
#pragma once

#include <memory>

#include "moge/infer/engine.h"
#include "moge/infer/model_runner.h"
#include "moge/model/load.h"
#include "moge/text/tokenizer.h"
#include "moge/text/tokenizer_files.h"

namespace moge::infer {

struct TestModel {
  explicit TestModel(DType dtype = DType::kF32)
      : pool(2),
        scratch(size_t{16} << 20),
        loaded(load_model(Context{pool, kernels::choose_table(), scratch},
                          find_model("preset:tiny"), {.dtype = dtype, .positions = 256})) {}

  ThreadPool pool;
  Arena scratch;
  LoadedModel loaded;
};

struct TestEngine : TestModel {
  explicit TestEngine(int64_t max_sequences)
      : runner(pool, kernels::choose_table(), loaded.model,
               {.max_tokens = 32, .max_sequences = max_sequences, .num_pages = 32}),
        engine(
            runner,
            {.max_model_len = 256, .max_num_seqs = max_sequences, .max_num_batched_tokens = 32}) {
    const auto files = text::byte_tokenizer_files(loaded.model.config.vocab_size);
    tokenizer = Tokenizer::from_json(files.tokenizer_json, files.config_json, "tiny");
  }

  std::unique_ptr<Tokenizer> tokenizer;
  ModelRunner runner;
  Engine engine;
};

}  // namespace moge::infer
