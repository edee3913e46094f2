#include "moge/text/decoder.h"

#include <optional>

#include "moge/text/normalizer.h"
#include "moge/text/pieces.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

/// The end of the chain.
class Collect : public DecodeStep {
 public:
  void take(std::string_view fragment, bool, bool) override { text += fragment; }
  void finish() override {}
  std::string text;
};

/// Without a decoder, tokens are joined by spaces.
class JoinBySpaces : public DecodeStep {
 public:
  void take(std::string_view fragment, bool first, bool last) override {
    if (first && any_) next_->take(" ", false, false);
    any_ = true;
    next_->take(fragment, first, last);
  }

 private:
  bool any_ = false;
};

class Fuse : public DecodeStep {
 public:
  void take(std::string_view fragment, bool, bool) override {
    next_->take(fragment, !any_, false);
    any_ = true;
  }
  void finish() override {
    next_->take("", !any_, true);
    next_->finish();
  }

 private:
  bool any_ = false;
};

/// Turns characters of the byte alphabet into bytes and those into UTF-8; the result is one token.
class ByteLevel : public DecodeStep {
 public:
  explicit ByteLevel(bool raw) : raw_(raw) {}

  void take(std::string_view fragment, bool, bool last) override {
    token_ += fragment;
    if (!last) return;
    append_bytes();
    token_.clear();
    pass_complete(/*end=*/false);
  }
  void finish() override {
    pass_complete(/*end=*/true);
    next_->take("", !any_, true);
    next_->finish();
  }

 private:
  /// A token with any other character stands for itself.
  void append_bytes() {
    const size_t before = bytes_.size();
    for (size_t at = 0; at < token_.size();) {
      const CodePoint c = decode_utf8(std::string_view(token_).substr(at));
      const int byte = ByteAlphabet::byte(c.value);
      if (byte < 0) {
        bytes_.resize(before);
        bytes_ += token_;
        return;
      }
      bytes_ += static_cast<char>(byte);
      at += c.size;
    }
  }

  void pass_complete(bool end) {
    std::string text;
    size_t at = 0;
    while (at < bytes_.size()) {
      const std::string_view rest = std::string_view(bytes_).substr(at);
      const CodePoint c = decode_utf8(rest);
      if (c.truncated && !end && !raw_) break;
      text += c.valid || raw_ ? rest.substr(0, c.size) : kReplacement;
      at += c.size;
    }
    bytes_.erase(0, at);
    if (text.empty()) return;
    next_->take(text, !any_, false);
    any_ = true;
  }

  bool raw_;
  std::string token_, bytes_;
  bool any_ = false;
};

/// "<0x0A>" is the byte 10; a run of such tokens is text only if all of it is valid UTF-8.
class ByteFallback : public DecodeStep {
 public:
  explicit ByteFallback(bool raw) : raw_(raw) {}

  void take(std::string_view fragment, bool first, bool last) override {
    if (first) token_.clear();
    token_ += fragment;
    if (!last) return;
    if (const auto byte = byte_of(token_)) {
      run_ += static_cast<char>(*byte);
      return;
    }
    pass_run();
    next_->take(token_, true, true);
  }
  void finish() override {
    pass_run();
    next_->finish();
  }

 private:
  /// Hexadecimal as Rust reads it: two digits, or a sign and one.
  static std::optional<int> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return {};
    const auto digit = [](char c) {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    const int high = token[3] == '+' ? 0 : digit(token[3]), low = digit(token[4]);
    if (high < 0 || low < 0) return {};
    return high * 16 + low;
  }

  void pass_run() {
    if (raw_ || is_valid_utf8(run_)) {
      if (!run_.empty()) next_->take(run_, true, true);
    } else {
      for (size_t i = 0; i < run_.size(); ++i) next_->take(kReplacement, true, true);
    }
    run_.clear();
  }

  bool raw_;
  std::string token_, run_;
};

/// Replaces inside each token. A fused token is passed on up to what could begin a match.
class Replace : public DecodeStep {
 public:
  Replace(std::shared_ptr<const Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void take(std::string_view fragment, bool first, bool last) override {
    if (first) begun_ = false;
    pending_ += fragment;
    const size_t ready = last ? pending_.size() : certain();
    if (ready == 0 && !last) return;
    const std::string text =
        pattern_->replace(std::string_view(pending_).substr(0, ready), content_);
    pending_.erase(0, ready);
    next_->take(text, !begun_, last);
    begun_ = true;
  }

 private:
  /// Bytes of pending_ before the longest end that a later byte could turn into a match.
  size_t certain() const {
    const std::string* literal = pattern_->literal();
    if (literal == nullptr) return 0;
    std::vector<Span> spans;
    pattern_->split(pending_, spans);
    const size_t from =
        spans.empty() || spans.back().matched ? pending_.size() : spans.back().begin;
    for (size_t at = from; at < pending_.size(); ++at)
      if (literal->starts_with(std::string_view(pending_).substr(at))) return at;
    return pending_.size();
  }

  std::shared_ptr<const Pattern> pattern_;
  std::string content_, pending_;
  bool begun_ = false;
};

/// Takes up to `start` and `stop` times `content` off the ends of each token.
class Strip : public DecodeStep {
 public:
  Strip(std::string content, int64_t start, int64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  void take(std::string_view fragment, bool first, bool last) override {
    if (first) to_strip_ = start_;
    while (to_strip_ > 0 && !fragment.empty()) {
      const bool strips = fragment.starts_with(content_);
      if (strips) fragment.remove_prefix(content_.size());
      to_strip_ = strips ? to_strip_ - 1 : 0;
    }
    held_ += fragment;
    size_t end = held_.size();
    for (int64_t i = 0; i < stop_ && ends_with_content(end); ++i) end -= content_.size();
    next_->take(std::string_view(held_).substr(0, end), first, last);
    held_.erase(0, last ? held_.size() : end);
  }

 private:
  bool ends_with_content(size_t end) const {
    return std::string_view(held_).substr(0, end).ends_with(content_);
  }

  std::string content_, held_;
  int64_t start_, stop_, to_strip_ = 0;
};

/// The mark becomes a space, or nothing in the first token.
class MetaspaceDecoder : public DecodeStep {
 public:
  MetaspaceDecoder(std::string mark, bool drop_first) : mark_(std::move(mark)), drop_(drop_first) {}

  void take(std::string_view fragment, bool first, bool last) override {
    std::string text;
    for (size_t at = 0; at < fragment.size();) {
      const size_t size = static_cast<size_t>(utf8_length(fragment[at]));
      const std::string_view c = fragment.substr(at, size);
      if (c != mark_)
        text += c;
      else if (!drop_)
        text += ' ';
      at += size;
    }
    if (last) drop_ = false;
    next_->take(text, first, last);
  }

 private:
  std::string mark_;
  bool drop_;
};

using Factories = std::vector<DecodeChain::Factory>;

template <class Step, class... Args>
DecodeChain::Factory factory(Args... args) {
  return [=] { return std::make_unique<Step>(args...); };
}

std::string spelled(char32_t c) {
  std::string s;
  append_utf8(s, c);
  return s;
}

DecodeChain::Factory make_metaspace(const JsonNode& node) {
  const std::string scheme = node.has("prepend_scheme") ? node.string("prepend_scheme") : "always";
  if (scheme != "always" && scheme != "first" && scheme != "never")
    node.refuse("has prepend_scheme '" + scheme + "'; read are always, first, never");
  const bool add_space = node.boolean("add_prefix_space", true);
  if (!add_space && scheme != "never")
    node.refuse("has add_prefix_space false, but prepend_scheme '" + scheme + "'");
  return factory<MetaspaceDecoder>(spelled(node.character("replacement")), scheme != "never");
}

void append(const JsonNode& node, bool raw, int depth, Factories& out) {
  const std::string type = node.string("type");
  if (type == "Sequence") {
    if (depth == kMaxNesting) node.refuse("is nested too deep");
    for (const JsonNode& child : node.children("decoders")) append(child, raw, depth + 1, out);
  } else if (type == "ByteLevel") {
    out.push_back(factory<ByteLevel>(raw));
  } else if (type == "ByteFallback") {
    out.push_back(factory<ByteFallback>(raw));
  } else if (type == "Fuse") {
    out.push_back(factory<Fuse>());
  } else if (type == "Replace") {
    out.push_back(factory<Replace>(
        std::shared_ptr<const Pattern>(std::make_shared<Pattern>(node.at("pattern"))),
        node.string("content")));
  } else if (type == "Strip") {
    out.push_back(factory<Strip>(spelled(node.character("content")),
                                 node.integer("start", 0, 1 << 20),
                                 node.integer("stop", 0, 1 << 20)));
  } else if (type == "Metaspace") {
    out.push_back(make_metaspace(node));
  } else {
    node.refuse("has type " + type +
                "; read are ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, Sequence");
  }
}

}  // namespace

DecodeChain::DecodeChain(const std::vector<Factory>& factories) {
  for (const Factory& make : factories) steps_.push_back(make());
  auto end = std::make_unique<Collect>();
  text_ = &end->text;
  steps_.push_back(std::move(end));
  for (size_t i = 0; i + 1 < steps_.size(); ++i) steps_[i]->set_next(steps_[i + 1].get());
}

void DecodeChain::take(std::string_view token, std::string& out) {
  steps_.front()->take(token, true, true);
  out += *text_;
  text_->clear();
}

void DecodeChain::finish(std::string& out) {
  steps_.front()->finish();
  out += *text_;
  text_->clear();
}

std::vector<DecodeChain::Factory> make_decoder(const JsonNode& node, bool raw) {
  Factories out;
  if (node.is_null())
    out.push_back(factory<JoinBySpaces>());
  else
    append(node, raw, 0, out);
  return out;
}

}  // namespace moge::text
