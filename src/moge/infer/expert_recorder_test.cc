#include "moge/infer/expert_recorder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

struct Made : TestModel {
  ModelRunner runner{pool,
                     kernels::choose_table(),
                     loaded.model,
                     {.max_tokens = 64, .max_sequences = 8, .num_pages = 32}};
  const ModelConfig& config() const { return loaded.model.config; }
};

/// Keeps the end of one request.
struct KeepEnd : Sink {
  bool on_token(const TokenEvent&) override { return true; }
  void on_finish(const FinishEvent& event) override { end = event; }
  FinishEvent end;
};

FinishEvent run(Engine& engine, Request request) {
  auto sink = std::make_shared<KeepEnd>();
  engine.submit(std::move(request), sink);
  engine.drain();
  return sink->end;
}

Request prompt_of(int64_t tokens, int64_t more) {
  Request request;
  for (int64_t i = 0; i < tokens; ++i) request.prompt.push_back(static_cast<int32_t>(7 * i % 200));
  request.sampling.max_tokens = more;
  request.sampling.ignore_eos = true;
  return request;
}

TEST(ExpertRecorder, CountsEveryRowOfEveryLayer) {
  Made made;
  ExpertRecorder recorder(made.config());
  Engine engine(made.runner, {.max_model_len = 64, .observer = &recorder});
  EXPECT_EQ(recorder.last_minute().tokens, 0);
  recorder.start();
  run(engine, prompt_of(20, 5));  // 20 + 4 rows: the last token is not computed
  recorder.stop();
  const MoeConfig& moe = made.config().moe;
  for (const ExpertLoad& load : {recorder.last_minute(), recorder.recorded()}) {
    EXPECT_EQ(load.tokens, 24);
    for (const LayerLoad& layer : load.layers) {
      if (layer.rows_E.empty()) continue;
      EXPECT_EQ(std::accumulate(layer.rows_E.begin(), layer.rows_E.end(), int64_t{0}),
                24 * moe.top_k);
      EXPECT_EQ(layer.steps, 5);
      EXPECT_EQ(layer.row_imbalance, 0) << "groups get equal rows by construction";
      EXPECT_GE(layer.byte_imbalance, 1);
      EXPECT_GE(layer.distinct, static_cast<double>(moe.top_k));
    }
  }
  run(engine, prompt_of(9, 1));
  EXPECT_EQ(recorder.recorded().tokens, 24) << "it was stopped";
  EXPECT_EQ(recorder.last_minute().tokens, 33);
}

TEST(ExpertRecorder, CountsPlainTopkOfASampleOfTheRows) {
  Made made;
  ExpertRecorder recorder(made.config());
  Engine engine(made.runner, {.max_model_len = 64, .observer = &recorder});
  run(engine, prompt_of(20, 20));  // 20 steps: one row of every fourth
  Request traced = prompt_of(2, 7);
  traced.want_experts = true;  // those rows are known anyway
  run(engine, std::move(traced));
  for (const LayerLoad& layer : recorder.last_minute().layers) {
    ASSERT_EQ(layer.plain_E.size(), layer.rows_E.size());
    EXPECT_EQ(std::accumulate(layer.plain_E.begin(), layer.plain_E.end(), int64_t{0}),
              (5 + 7) * made.config().moe.top_k);
  }
}

TEST(Embeddings, AreTheSameInChunksAndFromTheCache) {
  const auto embedding = [](int64_t chunk, int times) {
    Made made;
    Engine engine(made.runner, {.max_model_len = 64, .max_num_batched_tokens = chunk});
    FinishEvent end;
    for (int i = 0; i < times; ++i) {
      Request request = prompt_of(33, 0);
      request.want_embedding = true;
      request.cache_salt = std::to_string(i);
      end = run(engine, std::move(request));
    }
    return end.embedding;
  };
  const std::vector<float> whole = embedding(64, 1);
  ASSERT_FALSE(whole.empty());
  double squares = 0;
  for (float value : whole) squares += static_cast<double>(value) * static_cast<double>(value);
  EXPECT_GT(squares, 0.0);
  EXPECT_EQ(embedding(7, 1), whole);
  EXPECT_EQ(embedding(64, 3), whole);
}

}  // namespace
}  // namespace moge::infer
