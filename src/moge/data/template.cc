#include "moge/data/template.h"

#include <charconv>

#include "moge/core/error.h"

namespace moge::data {

namespace {

bool wants_an(std::string_view word) {
  if (word.starts_with("hono") || word.starts_with("hone") || word.starts_with("hour")) return true;
  return !word.empty() && std::string_view("aeiouAEIOU").find(word[0]) != std::string_view::npos;
}

/// End of the alternatives that open at text[0] == '<': index of the matching '>'.
size_t find_close(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') ++depth;
    if (text[i] == '>' && --depth == 0) return i;
  }
  fail("[corpus] a text has '<' without '>': {}", text);
}

/// Length of the first alternative of `text`, up to a '|' outside nested brackets.
size_t alternative_length(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') ++depth;
    if (text[i] == '>') --depth;
    if (text[i] == '|' && depth == 0) return i;
  }
  return text.size();
}

uint64_t count_alternatives(std::string_view text) {
  uint64_t count = 1;
  for (size_t n; (n = alternative_length(text)) < text.size(); ++count) text.remove_prefix(n + 1);
  return count;
}

std::string_view alternative(std::string_view text, uint64_t index) {
  for (; index > 0; --index) text.remove_prefix(alternative_length(text) + 1);
  return text.substr(0, alternative_length(text));
}

}  // namespace

void Filler::set(std::string_view slot, std::string_view value) {
  for (auto& s : slots_) {
    if (s.name == slot) {
      s.value = value;
      return;
    }
  }
  slots_.push_back({slot, std::string(value)});
}

void Filler::set(std::string_view slot, int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  set(slot, std::string_view(digits, static_cast<size_t>(end - digits)));
}

const std::string& Filler::value_of(std::string_view slot) const {
  for (const auto& s : slots_)
    if (s.name == slot) return s.value;
  fail("[corpus] a text names the slot '{}', which has no value", slot);
}

void Filler::append_slot(std::string& out, std::string_view inside) const {
  const bool capital = inside.starts_with('^');
  if (capital) inside.remove_prefix(1);
  const bool article = inside.starts_with("a ");
  if (article) inside.remove_prefix(2);
  const std::string& value = value_of(inside);
  const size_t first = out.size();
  if (article) out += wants_an(value) ? "an " : "a ";
  out += value;
  if (capital && first < out.size() && out[first] >= 'a' && out[first] <= 'z') out[first] -= 32;
}

void Filler::append_verbatim(std::string& out, std::string_view text) const {
  while (!text.empty()) {
    const size_t open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) return;
    const size_t close = text.find('}', open);
    check(close != std::string_view::npos, "[corpus] a text has '{{' without '}}': {}", text);
    append_slot(out, text.substr(open + 1, close - open - 1));
    text.remove_prefix(close + 1);
  }
}

void Filler::append(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const size_t open = text.find('<');
    append_verbatim(out, text.substr(0, open));
    if (open == std::string_view::npos) return;
    text.remove_prefix(open);
    const size_t close = find_close(text);
    const auto inside = text.substr(1, close - 1);
    append(out, alternative(inside, rng_.below(count_alternatives(inside))));
    text.remove_prefix(close + 1);
  }
}

}  // namespace moge::data
