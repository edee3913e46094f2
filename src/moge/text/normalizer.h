// Normalizers of tokenizer.json: what happens to a text before it is cut into pieces.
#pragma once

#include <functional>
#include <string>

#include "moge/text/json_node.h"
#include "moge/text/regex.h"

namespace moge::text {

/// Changes a text (valid UTF-8) in place; may be called by several threads.
using Normalizer = std::function<void(std::string&)>;

/// NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, Sequence; null gives none. Throws
/// Error for any other, by name.
Normalizer make_normalizer(const JsonNode& node);

/// {"String": ...} or {"Regex": ...}; the matches and gaps of a text.
class Pattern {
 public:
  explicit Pattern(const JsonNode& node);
  void split(std::string_view text, std::vector<Span>& spans) const;
  /// The text to look for, where it is a plain one.
  const std::string* literal() const { return regex_ ? nullptr : &literal_; }
  /// `text` with each match replaced.
  std::string replace(std::string_view text, std::string_view content) const;

 private:
  std::string literal_;
  std::unique_ptr<Regex> regex_;
};

/// Compiles an expression, naming the node if that fails.
Regex compile(const JsonNode& node);

/// Sequences may nest this deep.
inline constexpr int kMaxNesting = 16;

}  // namespace moge::text
