#include "moge/text/normalizer.h"

#include "moge/core/error.h"
#include "moge/text/unicode.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

// A chain of Replace steps can square its text again and again.
constexpr size_t kMaxGrowth = 64, kMaxSmallText = 65536;

void check_growth(size_t before, size_t after) {
  check(after <= kMaxSmallText || after <= before * kMaxGrowth,
        "[tokenizer] normalizing {} bytes gave {}: more than {} times as many", before, after,
        kMaxGrowth);
}

void strip(std::string& text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    const CodePoint c = decode_utf8(std::string_view(text).substr(begin));
    if (!is_space(c.value)) break;
    begin += c.size;
  }
  while (right && end > begin) {
    size_t start = end - 1;
    while ((text[start] & 0xC0) == 0x80) --start;
    if (!is_space(decode_utf8(std::string_view(text).substr(start)).value)) break;
    end = start;
  }
  text = text.substr(begin, end - begin);
}

Normalizer make(const JsonNode& node, int depth);

Normalizer make_sequence(const JsonNode& node, int depth) {
  if (depth == kMaxNesting) node.refuse("is nested too deep");
  std::vector<Normalizer> steps;
  for (const JsonNode& child : node.children("normalizers"))
    steps.push_back(make(child, depth + 1));
  return [steps = std::move(steps)](std::string& text) {
    const size_t before = text.size();
    for (const Normalizer& step : steps) {
      step(text);
      check_growth(before, text.size());
    }
  };
}

Normalizer make_replace(const JsonNode& node) {
  const auto pattern = std::make_shared<Pattern>(node.at("pattern"));  // closures are copied
  return [pattern, content = node.string("content")](std::string& text) {
    text = pattern->replace(text, content);
  };
}

Normalizer make(const JsonNode& node, int depth) {
  const std::string type = node.string("type");
  const auto form = [](NormalForm f) { return [f](std::string& text) { normalize(text, f); }; };
  if (type == "NFC") return form(NormalForm::kNfc);
  if (type == "NFD") return form(NormalForm::kNfd);
  if (type == "NFKC") return form(NormalForm::kNfkc);
  if (type == "NFKD") return form(NormalForm::kNfkd);
  if (type == "Lowercase") return lowercase;
  if (type == "Sequence") return make_sequence(node, depth);
  if (type == "Replace") return make_replace(node);
  if (type == "Prepend")
    return [prefix = node.string("prepend")](std::string& text) {
      if (!text.empty()) text.insert(0, prefix);
    };
  if (type == "Strip")
    return [left = node.boolean("strip_left"),
            right = node.boolean("strip_right")](std::string& text) { strip(text, left, right); };
  node.refuse("has type " + type +
              "; read are NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, Sequence");
}

}  // namespace

Normalizer make_normalizer(const JsonNode& node) {
  if (node.is_null()) return {};
  return make(node, 0);
}

Regex compile(const JsonNode& node) {
  try {
    return Regex(node.string());
  } catch (const Error& error) {
    node.refuse(fmt::format("'{}': {}", node.string(), error.what()));
  }
}

Pattern::Pattern(const JsonNode& node) {
  if (node.has("Regex"))
    regex_ = std::make_unique<Regex>(compile(node.at("Regex")));
  else
    literal_ = node.string("String");
  if (!regex_ && literal_.empty()) regex_ = std::make_unique<Regex>("");
}

void Pattern::split(std::string_view text, std::vector<Span>& spans) const {
  if (regex_) return regex_->split(text, spans);
  size_t covered = 0;
  for (size_t at = text.find(literal_); at != std::string_view::npos;
       at = text.find(literal_, covered)) {
    if (at > covered) spans.push_back({covered, at, false});
    covered = at + literal_.size();
    spans.push_back({at, covered, true});
  }
  if (covered < text.size()) spans.push_back({covered, text.size(), false});
}

std::string Pattern::replace(std::string_view text, std::string_view content) const {
  std::vector<Span> spans;
  split(text, spans);
  std::string out;
  for (const Span& s : spans) out += s.matched ? content : text.substr(s.begin, s.end - s.begin);
  check_growth(text.size(), out.size());
  return out;
}

}  // namespace moge::text
