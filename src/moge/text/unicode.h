// Character properties and normalization forms, as the reference tokenizers (Unicode 16) see them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace moge::text {

bool is_space(char32_t c);    ///< White_Space
bool is_numeric(char32_t c);  ///< Nd, Nl, No
bool is_word(char32_t c);     ///< letters, marks, numbers, connectors: a regex's \w
bool is_punctuation(char32_t c);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// Replaces `text` (valid UTF-8) by its normal form.
void normalize(std::string& text, NormalForm form);

/// Lower case of each character by itself (no final sigma).
void lowercase(std::string& text);

/// Characters that Unicode 15 and 16 added, which the PCRE2 and utf8proc of Debian 12 may not know:
/// a regex that names the category gets the ranges spelled out.
struct NewerRange {
  char32_t first, last;
  const char* category;  ///< general category, or "sc:Han"
};
std::span<const NewerRange> newer_ranges();

}  // namespace moge::text
