// moge eval: perplexity over a file of documents, and the share of its problems that are solved.
#include <nlohmann/json.hpp>
#include <optional>

#include "cli.h"
#include "commands.h"
#include "format_option.h"
#include "model_session.h"
#include "moge/eval/perplexity.h"
#include "moge/eval/solve.h"

namespace moge {

namespace {

struct EvalOptions {
  EngineChoice engine;
  std::string data, against;
  int64_t max_tokens = 160, limit = 0;

  void visit(FieldList& v) {
    engine.visit(v);
    v("data", data, "JSON lines {\"text\", \"domain\"}").required().called("FILE");
    v("against", against,
      "model folder that predictions are compared with: mean KL, share of equal likeliest tokens")
        .called("MODEL");
    v("max-tokens", max_tokens, "of an answer to a problem").at_least(1);
    v("limit", limit, "documents to use; 0: all").at_least(0);
  }
};

eval::PerplexityResult measure_loss(ModelSession& session, const EvalOptions& options,
                                    const std::vector<eval::EvalDocument>& documents, Run& run) {
  std::optional<LoadedModel> reference;
  Arena scratch(size_t{64} << 20, "load scratch");
  if (!options.against.empty()) {
    const ModelSource source = find_model(options.against);
    LoadOptions load = FormatOptions{}.load_options(source);
    load.seed = run.common().seed;
    load.positions = options.engine.max_model_len;
    reference = load_model(Context{run.pool(), run.table(), scratch}, source, load);
  }
  Progress progress = run.progress("perplexity", static_cast<int64_t>(documents.size()));
  const int64_t context = options.engine.max_model_len > 0
                              ? options.engine.max_model_len
                              : std::min<int64_t>(session.config().max_position, 2048);
  return eval::perplexity(run.pool(), run.table(), session.model(),
                          reference ? &reference->model : nullptr, session.tokenizer(), documents,
                          context, [&](int64_t done) {
                            progress.update(done);
                            return !run.stop().requested();
                          });
}

nlohmann::ordered_json solve_problems(ModelSession& session, const EvalOptions& options,
                                      const std::vector<eval::EvalDocument>& documents, Run& run) {
  std::vector<eval::Problem> problems;
  for (const eval::EvalDocument& document : documents)
    if (auto problem = eval::problem_of(document.text)) problems.push_back(std::move(*problem));
  if (problems.empty()) return nullptr;
  Progress progress = run.progress("problems", static_cast<int64_t>(problems.size()));
  const eval::SolveResult result =
      eval::solve(session.engine(), session.tokenizer(), problems, options.max_tokens,
                  [&](int64_t done) { progress.update(done); });
  return static_cast<double>(result.solved) / static_cast<double>(result.problems);
}

void evaluate(EvalOptions& options, Run& run) {
  run.stop();
  std::vector<eval::EvalDocument> documents = eval::read_documents(options.data);
  if (options.limit > 0 && options.limit < static_cast<int64_t>(documents.size()))
    documents.resize(static_cast<size_t>(options.limit));
  ModelSession session(options.engine, run);
  const eval::PerplexityResult loss = measure_loss(session, options, documents, run);
  nlohmann::ordered_json by_domain = nlohmann::ordered_json::object();
  for (const auto& [name, sum] : loss.by_domain)
    by_domain[name.empty() ? "other" : name] = {{"tokens", sum.tokens},
                                                {"perplexity", sum.perplexity()}};
  const bool compared = !options.against.empty();
  const eval::Divergence& against = loss.against;
  run.result({{"tokens", loss.total.tokens},
              {"perplexity", loss.total.perplexity()},
              {"by_domain", by_domain},
              {"kl_mean", compared ? nlohmann::ordered_json(against.kl_mean()) : nullptr},
              {"same_top", compared ? nlohmann::ordered_json(against.same_top_share()) : nullptr},
              {"solved", solve_problems(session, options, documents, run)}});
}

}  // namespace

void add_eval(Cli& cli) {
  cli.add<EvalOptions>("eval", "Perplexity, and the share of problems solved", evaluate);
}

}  // namespace moge
