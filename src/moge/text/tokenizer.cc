#include "moge/text/tokenizer.h"

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/text/sentencepiece_tokenizer.h"

namespace moge {

std::unique_ptr<Tokenizer> Tokenizer::load(const std::filesystem::path& folder) {
  const auto json = folder / "tokenizer.json", model = folder / "tokenizer.model";
  const auto config_path = folder / "tokenizer_config.json";
  const bool has_json = std::filesystem::exists(json);
  check(has_json || std::filesystem::exists(model),
        "[tokenizer] {} holds neither tokenizer.json nor tokenizer.model", folder.string());
  std::string config;
  if (std::filesystem::exists(config_path)) config = read_file(config_path);
  if (has_json) return from_json(read_file(json), config, json.string());
  return text::load_sentencepiece(model, config);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  const auto state = start_decode(skip_special);
  std::string out;
  for (const int32_t id : ids) state->push(id, out);
  state->finish(out);
  return out;
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(&tokenizer),
      skip_special_(skip_special),
      state_(tokenizer.start_decode(skip_special)) {}

std::string StreamDecoder::push(int32_t id) {
  std::string out;
  state_->push(id, out);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  state_->finish(out);
  state_ = tokenizer_->start_decode(skip_special_);
  return out;
}

}  // namespace moge
