// What Python's str does with characters: blanks, case, lines, slices by code point.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moge::text::jinja {

bool is_space(char32_t c);  ///< str.isspace
bool is_printable(char32_t c);
bool is_alpha(char32_t c);
bool is_digit(char32_t c);  ///< str.isdigit without the superscripts
bool is_alnum(char32_t c);

/// The code points of valid UTF-8.
std::u32string to_code_points(std::string_view text);
std::string to_utf8(std::u32string_view text);
int64_t count_code_points(std::string_view text);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);        ///< str.title: every run of letters
std::string to_capitalized(std::string_view text);  ///< str.capitalize
std::string swap_case(std::string_view text);
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);

enum class Side : uint8_t { kLeft, kRight, kBoth };
std::string_view strip_spaces(std::string_view text, Side side);
std::string_view strip_chars(std::string_view text, std::string_view chars, Side side);

/// str.splitlines; the views hold the line ends where `keep_ends`.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
/// str.split() at runs of blanks, at most `max_splits` (negative: all); the last part keeps its
/// own.
std::vector<std::string_view> split_spaces(std::string_view text, int64_t max_splits);
std::vector<std::string_view> rsplit_spaces(std::string_view text, int64_t max_splits);

std::string escape_html(std::string_view text);

}  // namespace moge::text::jinja
