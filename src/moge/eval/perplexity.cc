#include "moge/eval/perplexity.h"

#include <algorithm>
#include <cmath>

namespace moge::eval {

namespace {

constexpr int64_t kBatchTokens = 2048;

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
        arena_(static_cast<size_t>(
                   StepBuffers::bytes(model.config, rows, model.dtype, Recompute::kFull)),
               "activations"),
        scratch_(scratch_bytes(Context{threads, table, arena_}, model.config, rows), "scratch"),
        context_{threads, table, scratch_} {}

  void run(Rows& rows) {
    arena_.reset_to(0);
    StepBuffers buffers(arena_, model_.config, rows.size(), model_.dtype, Recompute::kFull);
    const Batch batch{.ids_T = Tensor::of(rows.ids.data(), {rows.size()}),
                      .positions_T = Tensor::of(rows.positions.data(), {rows.size()}),
                      .offsets = rows.offsets};
    loss_forward(context_, model_, batch, Tensor::of(rows.targets.data(), {rows.size()}),
                 Tensor::of(rows.mask.data(), {rows.size()}), {}, buffers);
    const float* loss_T = buffers.loss_T.as<float>();
    for (size_t t = 0; t < rows.ids.size(); ++t) {
      rows.owner[t]->loss += loss_T[t];
      ++rows.owner[t]->tokens;
    }
    rows.clear();
  }

 private:
  const Model& model_;
  Arena arena_, scratch_;
  Context context_;
};

}  // namespace

double LossSum::perplexity() const {
  return tokens > 0 ? std::exp(loss / static_cast<double>(tokens)) : 0.0;
}

PerplexityResult perplexity(ThreadPool& threads, const kernels::Table& table, const Model& model,
                            const Tokenizer& tokenizer, std::span<const EvalDocument> documents,
                            int64_t context, const std::function<bool(int64_t)>& progress) {
  PerplexityResult result;
  Forward forward(threads, table, model, kBatchTokens + context);
  Rows rows;
  int64_t done = 0;
  for (const EvalDocument& document : documents) {
    const std::vector<int32_t> ids = tokenizer.encode(document.text, /*add_special=*/true);
    LossSum* domain = &result.by_domain[document.domain];
    for (size_t begin = 0; begin + 1 < ids.size(); begin += static_cast<size_t>(context))
      rows.add(std::span(ids).subspan(
                   begin, std::min(ids.size() - begin, static_cast<size_t>(context) + 1)),
               domain);
    if (rows.size() >= kBatchTokens) forward.run(rows);
    if (!progress(++done)) break;
  }
  if (rows.size() > 0) forward.run(rows);
  for (const auto& [name, sum] : result.by_domain) {
    result.total.loss += sum.loss;
    result.total.tokens += sum.tokens;
  }
  return result;
}

}  // namespace moge::eval
