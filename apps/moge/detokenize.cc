// `moge detokenize`: token ids back to text.
#include <charconv>
#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"
#include "open_tokenizer.h"

namespace moge {

namespace {

struct DetokenizeOptions {
  std::string model, ids;
  bool skip_special = false;

  void visit(FieldList& v) {
    v("model", model, "folder with tokenizer files, or preset:NAME").positional().required();
    v("ids", ids, "ids such as 1,2,3 or [1, 2, 3], or - for stdin").positional().required();
    v("skip-special", skip_special, "leave out special tokens");
  }
};

bool is_separator(char c) { return std::string_view(" \t\r\n,[]").find(c) < 8; }

/// Numbers between blanks, commas and brackets.
std::vector<int32_t> parse_ids(const std::string& text, int64_t vocab_size) {
  std::vector<int32_t> ids;
  for (size_t at = 0; at < text.size();) {
    if (is_separator(text[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && !is_separator(text[end])) ++end;
    int32_t id = -1;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end)
      throw UsageError(fmt::format("'{}' is no token id", text.substr(at, end - at)));
    check(id >= 0 && id < vocab_size, "token id {} is not in the vocabulary of {} tokens", id,
          vocab_size);
    ids.push_back(id);
    at = end;
  }
  return ids;
}

void run_detokenize(DetokenizeOptions& options, Run& run) {
  const auto tokenizer = open_tokenizer(options.model);
  const auto ids = parse_ids(text_or_stdin(options.ids), tokenizer->vocab_size());
  const std::string text = tokenizer->decode(ids, options.skip_special);
  if (run.json()) return run.result({{"text", text}});
  run.out(text);
}

}  // namespace

void add_detokenize(Cli& cli) {
  cli.add<DetokenizeOptions>("detokenize", "Turn token ids into text", run_detokenize);
}

}  // namespace moge
