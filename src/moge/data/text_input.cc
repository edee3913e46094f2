#include "moge/data/text_input.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/mapped_file.h"

namespace moge::data {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

bool is_blank(std::string_view text) { return std::all_of(text.begin(), text.end(), is_space); }

std::string text_of_line(std::string_view line, const std::string& path, int64_t number) {
  check(static_cast<int64_t>(line.size()) <= kMaxLineBytes, "{}:{}: a line of {} bytes, at most {}",
        path, number, line.size(), kMaxLineBytes);
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line);
  } catch (const nlohmann::json::exception& e) {
    fail("{}:{}: malformed JSON: {}", path, number, e.what());
  }
  check(object.is_object(), "{}:{}: {} instead of a JSON object", path, number, object.type_name());
  const auto text = object.find("text");
  check(text != object.end(), "{}:{}: the object has no key \"text\"", path, number);
  check(text->is_string(), "{}:{}: \"text\" is {}, want a string", path, number, text->type_name());
  return std::move(text->get_ref<std::string&>());
}

int64_t read_lines(std::string_view all, const std::string& path,
                   const std::function<void(const TextPiece&)>& sink) {
  int64_t documents = 0, number = 1;
  for (size_t at = 0; at < all.size(); ++number) {
    const size_t end = std::min(all.find('\n', at), all.size());
    const auto line = all.substr(at, end - at);
    at = std::min(end + 1, all.size());
    if (is_blank(line)) continue;
    const std::string text = text_of_line(line, path, number);
    if (text.empty()) continue;
    sink({text, /*ends_document=*/true, static_cast<int64_t>(at)});
    ++documents;
  }
  return documents;
}

/// Where a piece of `text` may end: after the last line end that a word follows (so that no
/// tokenizer would have joined the two sides), else after the last whole UTF-8 character.
size_t find_cut(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text.size();
  for (size_t i = limit; i > limit / 2; --i)
    if (text[i - 1] == '\n' && !is_space(text[i])) return i;
  size_t cut = limit;
  while (cut > 1 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return cut > 1 ? cut : limit;
}

void read_pieces(std::string_view all, const std::function<void(const TextPiece&)>& sink) {
  const size_t size = all.size();
  while (!all.empty()) {
    const size_t cut = find_cut(all, kPieceBytes);
    const auto piece = all.substr(0, cut);
    all.remove_prefix(cut);
    sink({piece, /*ends_document=*/all.empty(), static_cast<int64_t>(size - all.size())});
  }
}

}  // namespace

bool is_text_path(const std::string& path) {
  return path.ends_with(".txt") || path.ends_with(".jsonl");
}

int64_t read_text(const std::string& path, const std::function<void(const TextPiece&)>& sink) {
  check(is_text_path(path), "{}: the name ends neither in .txt nor in .jsonl", path);
  const MappedFile file(path);
  std::string_view all(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const auto size = static_cast<int64_t>(all.size());
  if (all.starts_with(kByteOrderMark)) all.remove_prefix(kByteOrderMark.size());
  if (path.ends_with(".txt")) {
    check(!is_blank(all), "{}: the corpus is empty ({} bytes, no text)", path, size);
    read_pieces(all, sink);
  } else {
    const int64_t documents = read_lines(all, path, sink);
    check(documents > 0, "{}: the corpus is empty ({} bytes, no document with text)", path, size);
  }
  return size;
}

}  // namespace moge::data
