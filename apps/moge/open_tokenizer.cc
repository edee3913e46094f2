#include "open_tokenizer.h"

#include <cstdio>

#include "moge/config/model_config.h"
#include "moge/core/error.h"
#include "moge/model/iterations.h"
#include "moge/text/tokenizer_files.h"

namespace moge {

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& model) {
  constexpr std::string_view kPreset = "preset:";
  if (!model.starts_with(kPreset)) return Tokenizer::load(model_folder(model));
  const auto config = preset_config(model.substr(kPreset.size()));
  const auto files = text::byte_tokenizer_files(config.vocab_size);
  return Tokenizer::from_json(files.tokenizer_json, files.config_json, model);
}

std::string text_or_stdin(const std::string& text) {
  if (text != "-") return text;
  std::string all;
  char buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) all.append(buffer, n);
  check(std::ferror(stdin) == 0, "cannot read stdin after {} bytes", all.size());
  return all;
}

}  // namespace moge
