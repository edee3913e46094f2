#include "moge/text/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "moge/text/normalizer.h"
#include "moge/text/unicode.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

/// What becomes of the matches of a pattern.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Matches and gaps of a text, in order.
using Matcher = std::function<void(std::string_view, std::vector<Span>&)>;

/// A match joins the span before it, unless that one was a match too.
void merge_with_previous(std::vector<Span>& spans) {
  size_t kept = 0;
  bool was_match = false;
  for (const Span s : spans) {
    if (s.matched && !was_match && kept > 0)
      spans[kept - 1].end = s.end;
    else
      spans[kept++] = s;
    was_match = s.matched;
  }
  spans.resize(kept);
}

void merge_with_next(std::vector<Span>& spans) {
  std::vector<Span> out;
  bool was_match = false;
  for (auto s = spans.rbegin(); s != spans.rend(); ++s) {
    if (s->matched && !was_match && !out.empty())
      out.back().begin = s->begin;
    else
      out.push_back(*s);
    was_match = s->matched;
  }
  spans.assign(out.rbegin(), out.rend());
}

void merge_equals(std::vector<Span>& spans) {
  size_t kept = 0;
  for (const Span s : spans) {
    if (kept > 0 && spans[kept - 1].matched == s.matched)
      spans[kept - 1].end = s.end;
    else
      spans[kept++] = s;
  }
  spans.resize(kept);
}

void apply(Behavior behavior, std::vector<Span>& spans) {
  switch (behavior) {
    case Behavior::kRemoved:
      std::erase_if(spans, [](const Span& s) { return s.matched; });
      break;
    case Behavior::kIsolated:
      break;
    case Behavior::kMergedWithPrevious:
      merge_with_previous(spans);
      break;
    case Behavior::kMergedWithNext:
      merge_with_next(spans);
      break;
    case Behavior::kContiguous:
      merge_equals(spans);
      break;
  }
}

Piece slice(const Piece& whole, const Span& s) {
  Piece p;
  p.begin = whole.begin + static_cast<uint32_t>(s.begin);
  p.end = whole.begin + static_cast<uint32_t>(s.end);
  p.head = whole.head > s.begin
               ? std::min(whole.head - static_cast<uint32_t>(s.begin), p.end - p.begin)
               : 0;
  return p;
}

void split(Pieces& pieces, const Matcher& matcher, Behavior behavior) {
  std::vector<Piece> out;
  out.reserve(pieces.list.size());
  std::vector<Span> spans;
  for (const Piece& p : pieces.list) {
    if (p.id >= 0) {
      out.push_back(p);
      continue;
    }
    spans.clear();
    matcher(pieces.view(p), spans);
    apply(behavior, spans);
    for (const Span& s : spans)
      if (s.end > s.begin) out.push_back(slice(p, s));
  }
  pieces.list = std::move(out);
}

/// Rewrites every piece of text: `change(piece, text)` appends its new bytes and sets its head.
template <class Change>
void rewrite(Pieces& pieces, Change change) {
  std::string out;
  out.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (Piece& p : pieces.list) {
    const std::string_view text = pieces.view(p);
    p.begin = static_cast<uint32_t>(out.size());
    if (p.id < 0) change(p, text, out);
    p.end = static_cast<uint32_t>(out.size());
  }
  pieces.text = std::move(out);
}

/// Every character that satisfies `is` is a match of its own.
template <class Is>
Matcher characters(Is is) {
  return [is](std::string_view text, std::vector<Span>& spans) {
    size_t covered = 0;
    for (size_t at = 0; at < text.size();) {
      const CodePoint c = decode_utf8(text.substr(at));
      const size_t next = at + c.size;
      if (is(c.value)) {
        if (at > covered) spans.push_back({covered, at, false});
        spans.push_back({at, next, true});
        covered = next;
      }
      at = next;
    }
    if (covered < text.size()) spans.push_back({covered, text.size(), false});
  };
}

PreTokenizer splitter(Matcher matcher, Behavior behavior) {
  return [matcher = std::move(matcher), behavior](Pieces& pieces) {
    split(pieces, matcher, behavior);
  };
}

Behavior behavior_of(const JsonNode& node) {
  const std::string name = node.string();
  const std::pair<const char*, Behavior> known[] = {
      {"Removed", Behavior::kRemoved},
      {"Isolated", Behavior::kIsolated},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous},
  };
  for (const auto& [text, behavior] : known)
    if (name == text) return behavior;
  node.refuse("is '" + name +
              "'; read are Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

Matcher matcher_of(std::shared_ptr<const Regex> regex, bool invert) {
  return [regex = std::move(regex), invert](std::string_view text, std::vector<Span>& spans) {
    regex->split(text, spans);
    if (!invert) return;
    for (Span& s : spans) s.matched = !s.matched;
  };
}

PreTokenizer make_split(const JsonNode& node) {
  const auto pattern = std::make_shared<Pattern>(node.at("pattern"));  // closures are copied
  const bool invert = node.boolean("invert", false);
  const auto matcher = [pattern, invert](std::string_view text, std::vector<Span>& spans) {
    pattern->split(text, spans);
    if (!invert) return;
    for (Span& s : spans) s.matched = !s.matched;
  };
  return splitter(matcher, behavior_of(node.at("behavior")));
}

PreTokenizer make_byte_level(const JsonNode& node) {
  const bool add_space = node.boolean("add_prefix_space");
  Matcher words;
  if (node.boolean("use_regex", true))
    words = matcher_of(std::make_shared<const Regex>(kByteLevelExpression), false);
  return [add_space, words](Pieces& pieces) {
    if (add_space)
      rewrite(pieces, [](Piece& p, std::string_view text, std::string& out) {
        const bool add = !text.starts_with(' ');
        if (add) out += ' ';
        out += text;
        p.head += p.head > 0 && add ? 1 : 0;
      });
    if (words) split(pieces, words, Behavior::kIsolated);
    rewrite(pieces, [](Piece& p, std::string_view text, std::string& out) {
      p.head = static_cast<uint32_t>(spell_bytes(text.substr(0, p.head)).size());
      out += spell_bytes(text);
    });
  };
}

enum class Prepend { kAlways, kFirst, kNever };

Prepend prepend_of(const JsonNode& node) {
  const std::string scheme = node.has("prepend_scheme") ? node.string("prepend_scheme") : "always";
  if (!node.boolean("add_prefix_space", true) && scheme != "never")
    node.refuse("has add_prefix_space false, but prepend_scheme '" + scheme + "'");
  if (scheme == "always") return Prepend::kAlways;
  if (scheme == "first") return Prepend::kFirst;
  if (scheme == "never") return Prepend::kNever;
  node.refuse("has prepend_scheme '" + scheme + "'; read are always, first, never");
}

struct Metaspace {
  std::string mark;  // stands for a space
  Prepend prepend;

  void operator()(Piece& p, std::string_view text, std::string& out) const {
    const auto marked = [&](std::string_view part) {
      std::string s;
      for (const char c : part) c == ' ' ? s += mark : s += c;
      return s;
    };
    const uint32_t head = static_cast<uint32_t>(marked(text.substr(0, p.head)).size());
    const std::string body = marked(text);
    const bool wanted = prepend == Prepend::kAlways || (prepend == Prepend::kFirst && p.head > 0);
    const bool add = wanted && !body.starts_with(mark);
    if (add) out += mark;
    out += body;
    p.head = p.head == 0 ? 0 : head + static_cast<uint32_t>(add ? mark.size() : 0);
  }
};

PreTokenizer make_metaspace(const JsonNode& node) {
  Metaspace change{.mark = {}, .prepend = prepend_of(node)};
  const char32_t mark = node.character("replacement");
  append_utf8(change.mark, mark);
  const bool cut = node.boolean("split", true);
  const Matcher marks = characters([mark](char32_t c) { return c == mark; });
  return [change, cut, marks](Pieces& pieces) {
    rewrite(pieces, change);
    if (cut) split(pieces, marks, Behavior::kMergedWithNext);
  };
}

PreTokenizer make(const JsonNode& node, int depth);

PreTokenizer make_sequence(const JsonNode& node, int depth) {
  if (depth == kMaxNesting) node.refuse("is nested too deep");
  std::vector<PreTokenizer> steps;
  for (const JsonNode& child : node.children("pretokenizers"))
    steps.push_back(make(child, depth + 1));
  return [steps = std::move(steps)](Pieces& pieces) {
    for (const PreTokenizer& step : steps) step(pieces);
  };
}

PreTokenizer make(const JsonNode& node, int depth) {
  const std::string type = node.string("type");
  if (type == "Sequence") return make_sequence(node, depth);
  if (type == "ByteLevel") return make_byte_level(node);
  if (type == "Split") return make_split(node);
  if (type == "Metaspace") return make_metaspace(node);
  if (type == "Digits")
    return splitter(characters(is_numeric), node.boolean("individual_digits")
                                                ? Behavior::kIsolated
                                                : Behavior::kContiguous);
  if (type == "Punctuation")
    return splitter(characters(is_punctuation),
                    node.has("behavior") ? behavior_of(node.at("behavior")) : Behavior::kIsolated);
  if (type == "WhitespaceSplit") return splitter(characters(is_space), Behavior::kRemoved);
  if (type == "Whitespace")
    return splitter(matcher_of(std::make_shared<const Regex>(R"(\w+|[^\w\s]+)"), /*invert=*/true),
                    Behavior::kRemoved);
  if (type == "CharDelimiterSplit") {
    const char32_t delimiter = node.character("delimiter");
    return splitter(characters([delimiter](char32_t c) { return c == delimiter; }),
                    Behavior::kRemoved);
  }
  node.refuse("has type " + type +
              "; read are ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, "
              "WhitespaceSplit, CharDelimiterSplit, Sequence");
}

}  // namespace

PreTokenizer make_pre_tokenizer(const JsonNode& node) {
  if (node.is_null()) return {};
  return make(node, 0);
}

}  // namespace moge::text
