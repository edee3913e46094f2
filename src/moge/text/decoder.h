// Decoders of tokenizer.json: from tokens back to text, one token at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "moge/text/json_node.h"

namespace moge::text {

/// One step of the chain. Tokens flow through as fragments: most arrive whole (`first` and `last`),
/// those that an earlier step has fused in parts. A step passes text on as soon as nothing that may
/// follow can change it.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void take(std::string_view fragment, bool first, bool last) = 0;
  virtual void finish() { next_->finish(); }
  void set_next(DecodeStep* next) { next_ = next; }

 protected:
  DecodeStep* next_ = nullptr;
};

/// A running decoder: whole tokens in, text out.
class DecodeChain {
 public:
  using Factory = std::function<std::unique_ptr<DecodeStep>()>;

  explicit DecodeChain(const std::vector<Factory>& factories);
  /// Both append to `out` what has become certain.
  void take(std::string_view token, std::string& out);
  void finish(std::string& out);

 private:
  std::vector<std::unique_ptr<DecodeStep>> steps_;
  std::string* text_;  // of the last step, which collects
};

/// ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, Sequence; null joins tokens by spaces.
/// Throws Error for any other, by name. `raw` decoders pass bytes on as they are, whether or not
/// they are UTF-8.
std::vector<DecodeChain::Factory> make_decoder(const JsonNode& node, bool raw);

}  // namespace moge::text
