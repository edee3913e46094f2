#include "moge/text/jinja_text.h"

#include <utf8proc.h>

#include <algorithm>

#include "moge/text/jinja_case_table.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool is_letter(utf8proc_category_t k) {
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT ||
         k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_LO;
}

char32_t simple_upper(char32_t c) { return utf8proc_toupper(static_cast<int32_t>(c)); }
char32_t simple_lower(char32_t c) { return utf8proc_tolower(static_cast<int32_t>(c)); }
char32_t simple_title(char32_t c) { return utf8proc_totitle(static_cast<int32_t>(c)); }

bool has_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool has_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_cased(char32_t c) {
  const auto k = category(c);
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT ||
         simple_upper(c) != c || simple_lower(c) != c;
}
bool is_case_ignorable(char32_t c) {
  const auto k = category(c);
  return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
         k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' ||
         c == ':' || c == 0xB7 || c == 0x2019;
}

const LongCase* long_case(char32_t c) {
  if (c < 0xDF) return nullptr;
  const auto* end = std::end(kLongCases);
  const auto* found =
      std::lower_bound(std::begin(kLongCases), end, c,
                       [](const LongCase& entry, char32_t value) { return entry.c < value; });
  return found != end && found->c == c ? found : nullptr;
}

void append_upper(std::u32string& out, char32_t c) {
  if (const LongCase* entry = long_case(c)) {
    out += entry->upper;
  } else {
    out += simple_upper(c);
  }
}

void append_title(std::u32string& out, char32_t c) {
  if (const LongCase* entry = long_case(c)) {
    out += entry->title;
  } else {
    out += simple_title(c);
  }
}

/// The Greek capital sigma is lowered by its place in the word.
bool is_final_sigma(std::u32string_view text, size_t at) {
  size_t i = at;
  while (i > 0 && is_case_ignorable(text[i - 1])) --i;
  if (i == 0 || !is_cased(text[i - 1])) return false;
  i = at + 1;
  while (i < text.size() && is_case_ignorable(text[i])) ++i;
  return i == text.size() || !is_cased(text[i]);
}

void append_lower(std::u32string& out, std::u32string_view text, size_t at) {
  if (text[at] == 0x130) {  // I with a dot keeps it
    out += U"i\u0307";
  } else if (text[at] == 0x3A3) {
    out += is_final_sigma(text, at) ? char32_t{0x3C2} : char32_t{0x3C3};
  } else {
    out += simple_lower(text[at]);
  }
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

size_t last_char(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

template <class Drop>
std::string_view strip_if(std::string_view text, Side side, Drop drop) {
  if (side != Side::kRight) {
    while (!text.empty()) {
      const CodePoint c = decode_utf8(text);
      if (!drop(c.value)) break;
      text.remove_prefix(c.size);
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty()) {
      const size_t at = last_char(text);
      if (!drop(decode_utf8(text.substr(at)).value)) break;
      text = text.substr(0, at);
    }
  }
  return text;
}

}  // namespace

bool is_space(char32_t c) {
  if (c <= 0x20) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

bool is_alpha(char32_t c) { return is_letter(category(c)); }
bool is_digit(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_alnum(char32_t c) {
  const auto k = category(c);
  return is_letter(k) || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL ||
         k == UTF8PROC_CATEGORY_NO;
}

std::u32string to_code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = decode_utf8(text);
    out += c.value;
    text.remove_prefix(c.size);
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  for (char32_t c : text) append_utf8(out, c);
  return out;
}

int64_t count_code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char b) { return (static_cast<unsigned char>(b) & 0xC0) != 0x80; });
}

std::string to_upper(std::string_view text) {
  std::u32string out;
  for (char32_t c : to_code_points(text)) append_upper(out, c);
  return to_utf8(out);
}

std::string to_lower(std::string_view text) {
  const std::u32string in = to_code_points(text);
  std::u32string out;
  for (size_t i = 0; i < in.size(); ++i) append_lower(out, in, i);
  return to_utf8(out);
}

std::string to_title(std::string_view text) {
  const std::u32string in = to_code_points(text);
  std::u32string out;
  bool inside = false;
  for (size_t i = 0; i < in.size(); ++i) {
    if (inside) {
      append_lower(out, in, i);
    } else {
      append_title(out, in[i]);
    }
    inside = is_cased(in[i]);
  }
  return to_utf8(out);
}

std::string to_capitalized(std::string_view text) {
  const std::u32string in = to_code_points(text);
  std::u32string out;
  if (!in.empty()) append_title(out, in[0]);
  for (size_t i = 1; i < in.size(); ++i) append_lower(out, in, i);
  return to_utf8(out);
}

std::string swap_case(std::string_view text) {
  const std::u32string in = to_code_points(text);
  std::u32string out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (has_upper(in[i])) {
      append_lower(out, in, i);
    } else if (has_lower(in[i])) {
      append_upper(out, in[i]);
    } else {
      out += in[i];
    }
  }
  return to_utf8(out);
}

bool is_upper(std::string_view text) {
  bool any = false;
  for (char32_t c : to_code_points(text)) {
    if (has_lower(c) || category(c) == UTF8PROC_CATEGORY_LT) return false;
    any |= has_upper(c);
  }
  return any;
}

bool is_lower(std::string_view text) {
  bool any = false;
  for (char32_t c : to_code_points(text)) {
    if (has_upper(c) || category(c) == UTF8PROC_CATEGORY_LT) return false;
    any |= has_lower(c);
  }
  return any;
}

std::string_view strip_spaces(std::string_view text, Side side) {
  return strip_if(text, side, is_space);
}

std::string_view strip_chars(std::string_view text, std::string_view chars, Side side) {
  const std::u32string set = to_code_points(chars);
  return strip_if(text, side, [&](char32_t c) { return set.find(c) != std::u32string::npos; });
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text.substr(i));
    size_t next = i + c.size;
    if (!is_line_end(c.value)) {
      i = next;
      continue;
    }
    if (c.value == '\r' && next < text.size() && text[next] == '\n') ++next;
    lines.push_back(text.substr(start, (keep_ends ? next : i) - start));
    start = i = next;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

std::vector<std::string_view> split_spaces(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> words;
  text = strip_spaces(text, Side::kLeft);
  while (!text.empty()) {
    if (max_splits >= 0 && static_cast<int64_t>(words.size()) == max_splits) {
      words.push_back(text);
      break;
    }
    size_t end = 0;
    while (end < text.size()) {
      const CodePoint c = decode_utf8(text.substr(end));
      if (is_space(c.value)) break;
      end += c.size;
    }
    words.push_back(text.substr(0, end));
    text = strip_spaces(text.substr(end), Side::kLeft);
  }
  return words;
}

std::vector<std::string_view> rsplit_spaces(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> words;
  text = strip_spaces(text, Side::kRight);
  while (!text.empty()) {
    if (max_splits >= 0 && static_cast<int64_t>(words.size()) == max_splits) {
      words.push_back(text);
      break;
    }
    size_t start = text.size();
    while (start > 0) {
      const size_t at = last_char(text.substr(0, start));
      if (is_space(decode_utf8(text.substr(at)).value)) break;
      start = at;
    }
    words.push_back(text.substr(start));
    text = strip_spaces(text.substr(0, start), Side::kRight);
  }
  std::reverse(words.begin(), words.end());
  return words;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace moge::text::jinja
