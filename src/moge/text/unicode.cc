#include "moge/text/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "moge/core/error.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

/// Two letters such as "Lu"; newer_ranges() fills what utf8proc calls unassigned ("Cn").
std::string_view category(char32_t c) {
  const std::string_view known = utf8proc_category_string(static_cast<utf8proc_int32_t>(c));
  if (known != "Cn") return known;
  for (const NewerRange& r : newer_ranges())
    if (c >= r.first && c <= r.last && r.category[2] == '\0') return r.category;
  return known;
}

/// Below this, text is its own normal form (no decomposition, no combining mark).
char32_t first_changing(NormalForm form) {
  switch (form) {
    case NormalForm::kNfc:
      return 0x300;
    case NormalForm::kNfd:
      return 0xC0;
    default:
      return 0xA0;
  }
}

bool all_below(std::string_view text, char32_t limit) {
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const CodePoint c = decode_utf8(text.substr(i));
    if (c.value >= limit) return false;
    i += c.size;
  }
  return true;
}

utf8proc_option_t options(NormalForm form) {
  int bits = UTF8PROC_STABLE;
  const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  bits |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::kNfkc || form == NormalForm::kNfkd) bits |= UTF8PROC_COMPAT;
  return static_cast<utf8proc_option_t>(bits);
}

/// Circled, squared and negative letters: category So, yet alphabetic.
bool is_enclosed_letter(char32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

}  // namespace

bool is_space(char32_t c) {
  if (c < 0x80) return c == 0x20 || (c >= 0x9 && c <= 0xD);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return category(c)[0] == 'N';
}

bool is_word(char32_t c) {
  if (c < 0x80) return std::isalnum(static_cast<int>(c)) != 0 || c == '_';
  if (c == 0x200C || c == 0x200D || is_enclosed_letter(c)) return true;
  const std::string_view k = category(c);
  return k[0] == 'L' || k[0] == 'M' || k == "Nd" || k == "Nl" || k == "Pc";
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return std::ispunct(static_cast<int>(c)) != 0;
  return category(c)[0] == 'P';
}

void normalize(std::string& text, NormalForm form) {
  if (all_below(text, first_changing(form))) return;
  utf8proc_uint8_t* mapped = nullptr;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size =
      utf8proc_map(bytes, static_cast<utf8proc_ssize_t>(text.size()), &mapped, options(form));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  check(size >= 0, "[tokenizer] cannot normalize a text of {} bytes: {}", text.size(),
        utf8proc_errmsg(size));
  text.assign(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
}

void lowercase(std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(std::string_view(text).substr(i));
    i += c.size;
    if (c.value == 0x130) {  // the one character whose lower case is two
      out += "i\xCC\x87";
    } else {
      append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(c.value))));
    }
  }
  text = std::move(out);
}

}  // namespace moge::text
