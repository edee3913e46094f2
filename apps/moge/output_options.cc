#include "output_options.h"

#include <filesystem>
#include <utility>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/grammar/budget.h"
#include "moge/grammar/compiled.h"
#include "moge/grammar/output_format.h"

namespace moge {

namespace {

/// What a file of that name holds, if there is one.
std::string file_or_text(const std::string& given) {
  std::error_code ignored;
  const bool is_file = given.size() < 4096 && std::filesystem::is_regular_file(given, ignored);
  return is_file ? read_file(given, grammar::kMaxText) : given;
}

}  // namespace

std::shared_ptr<TokenConstraint> OutputOptions::constraint(const ModelSession& session) const {
  using Kind = grammar::OutputFormat::Kind;
  const int asked = !json_schema.empty() + !grammar.empty() + !regex.empty();
  if (asked == 0) return nullptr;
  if (asked > 1) throw UsageError("pass one of --json-schema, --grammar and --regex");
  grammar::OutputFormat format{.kind = Kind::kRegex, .text = regex};
  if (!json_schema.empty()) format = {.kind = Kind::kJsonSchema, .text = file_or_text(json_schema)};
  if (!grammar.empty()) format = {.kind = Kind::kGbnf, .text = file_or_text(grammar)};
  grammar::Budget budget;
  const grammar::Grammar rules = grammar::to_grammar(format, budget);
  return grammar::start_answer(std::make_shared<const grammar::CompiledGrammar>(
      rules,
      grammar::make_vocabulary(session.tokenizer(), session.config().vocab_size,
                               session.config().eos_ids),
      budget));
}

}  // namespace moge
