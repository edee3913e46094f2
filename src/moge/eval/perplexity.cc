#include "moge/eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "moge/core/error.h"

namespace moge::eval {

namespace {

constexpr int64_t kBatchTokens = 2048;
constexpr int64_t kCompared = 64;  // rows whose logits both models hold at a time

/// Pieces of documents, flat, and which domain each row counts for.
struct Rows {
  std::vector<int32_t> ids, targets, positions, offsets{0};
  std::vector<float> mask;
  std::vector<LossSum*> owner;

  void clear() {
    ids.clear(), targets.clear(), positions.clear(), mask.clear(), owner.clear();
    offsets.assign(1, 0);
  }
  int64_t size() const { return static_cast<int64_t>(ids.size()); }
  void add(std::span<const int32_t> tokens, LossSum* domain) {
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      ids.push_back(tokens[i]);
      targets.push_back(tokens[i + 1]);
      positions.push_back(static_cast<int32_t>(i));
      mask.push_back(1.0f);
      owner.push_back(domain);
    }
    offsets.push_back(static_cast<int32_t>(ids.size()));
  }
};

/// The memory of a forward pass over at most `rows` rows.
class Forward {
 public:
  Forward(ThreadPool& threads, const kernels::Table& table, const Model& model, int64_t rows)
      : model_(model),
        arena_(arena_bytes(model, rows), "activations"),
        scratch_(scratch_bytes(Context{threads, table, arena_}, model.config, rows), "scratch"),
        context_{threads, table, scratch_} {}

  /// Losses of the rows, valid until the next run.
  const float* run(Rows& rows) {
    arena_.reset_to(0);
    buffers_.emplace(arena_, model_.config, rows.size(), model_.dtype, Recompute::kFull);
    const Batch batch{.ids_T = Tensor::of(rows.ids.data(), {rows.size()}),
                      .positions_T = Tensor::of(rows.positions.data(), {rows.size()}),
                      .offsets = rows.offsets};
    loss_forward(context_, model_, batch, Tensor::of(rows.targets.data(), {rows.size()}),
                 Tensor::of(rows.mask.data(), {rows.size()}), {}, *buffers_);
    return buffers_->loss_T.as<float>();
  }

  /// Logits of rows [begin, end) of the last run, valid until the next call.
  const float* logits(int64_t begin, int64_t end) {
    const ArenaScope scope(arena_);
    const int64_t V = model_.config.vocab_size;
    const Tensor logits_CV =
        Tensor::of(arena_.allocate<float>((end - begin) * V), {end - begin, V});
    logits_for_rows(context_, model_, buffers_->x_TD.rows(begin, end), {}, arena_, logits_CV);
    return logits_CV.as<float>();
  }

 private:
  static size_t arena_bytes(const Model& model, int64_t rows) {
    const ModelConfig& c = model.config;
    return static_cast<size_t>(StepBuffers::bytes(c, rows, model.dtype, Recompute::kFull) +
                               logits_bytes(c, kCompared, model.dtype) +
                               4 * kCompared * c.vocab_size + int64_t{Arena::kAlignment});
  }

  const Model& model_;
  Arena arena_, scratch_;
  Context context_;
  std::optional<StepBuffers> buffers_;
};

/// Of the rows that both have run.
Divergence compare(ThreadPool& threads, Forward& model, Forward& reference, int64_t rows,
                   int64_t vocab_size) {
  Divergence sum;
  std::vector<Divergence> each(kCompared);
  for (int64_t begin = 0; begin < rows; begin += kCompared) {
    const int64_t end = std::min(rows, begin + kCompared);
    const float *q = model.logits(begin, end), *p = reference.logits(begin, end);
    threads.parallel_for(end - begin, [&](int64_t i, int) {
      each[static_cast<size_t>(i)] = divergence(p + i * vocab_size, q + i * vocab_size, vocab_size);
    });
    for (int64_t i = 0; i < end - begin; ++i) sum.add(each[static_cast<size_t>(i)]);
  }
  return sum;
}

}  // namespace

double LossSum::perplexity() const {
  return tokens > 0 ? std::exp(loss / static_cast<double>(tokens)) : 0.0;
}

PerplexityResult perplexity(ThreadPool& threads, const kernels::Table& table, const Model& model,
                            const Model* reference, const Tokenizer& tokenizer,
                            std::span<const EvalDocument> documents, int64_t context,
                            const std::function<bool(int64_t)>& progress) {
  const int64_t V = model.config.vocab_size;
  check(!reference || reference->config.vocab_size == V,
        "the reference has {} token ids, the model {}",
        reference ? reference->config.vocab_size : 0, V);
  PerplexityResult result;
  Forward forward(threads, table, model, kBatchTokens + context);
  std::optional<Forward> other;
  if (reference) other.emplace(threads, table, *reference, kBatchTokens + context);
  Rows rows;
  const auto run = [&] {
    const float* loss_T = forward.run(rows);
    for (size_t t = 0; t < rows.ids.size(); ++t) {
      rows.owner[t]->loss += loss_T[t];
      ++rows.owner[t]->tokens;
    }
    if (other) {
      other->run(rows);
      result.against.add(compare(threads, forward, *other, rows.size(), V));
    }
    rows.clear();
  };
  int64_t done = 0;
  for (const EvalDocument& document : documents) {
    const std::vector<int32_t> ids = tokenizer.encode(document.text, /*add_special=*/true);
    LossSum* domain = &result.by_domain[document.domain];
    for (size_t begin = 0; begin + 1 < ids.size(); begin += static_cast<size_t>(context)) {
      rows.add(std::span(ids).subspan(
                   begin, std::min(ids.size() - begin, static_cast<size_t>(context) + 1)),
               domain);
      if (rows.size() >= kBatchTokens) run();
    }
    if (!progress(++done)) break;
  }
  if (rows.size() > 0) run();
  for (const auto& [name, sum] : result.by_domain) {
    result.total.loss += sum.loss;
    result.total.tokens += sum.tokens;
  }
  return result;
}

}  // namespace moge::eval
