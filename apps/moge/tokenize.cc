// `moge tokenize`: a text to token ids, as the model's own library gives them.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "open_tokenizer.h"

namespace moge {

namespace {

struct TokenizeOptions {
  std::string model, text;
  bool no_special = false;

  void visit(FieldList& v) {
    v("model", model, "folder with tokenizer files, or preset:NAME").positional().required();
    v("text", text, "the text, or - for all bytes of stdin").positional().required();
    v("no-special", no_special, "leave out the special tokens that the tokenizer adds (bos)");
  }
};

/// One "id<tab>piece" line each.
std::string table(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string out;
  for (const int32_t id : ids) out += fmt::format("{}\t{}\n", id, tokenizer.id_to_piece(id));
  return out;
}

void run_tokenize(TokenizeOptions& options, Run& run) {
  const auto tokenizer = open_tokenizer(options.model);
  const auto ids = tokenizer->encode(text_or_stdin(options.text), !options.no_special);
  if (!run.json()) return run.out(table(*tokenizer, ids));
  nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
  for (const int32_t id : ids) tokens.push_back(tokenizer->id_to_piece(id));
  run.result({{"ids", ids}, {"tokens", std::move(tokens)}});
}

}  // namespace

void add_tokenize(Cli& cli) {
  cli.add<TokenizeOptions>("tokenize", "Turn a text into token ids", run_tokenize);
}

}  // namespace moge
