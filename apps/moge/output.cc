#include "output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "moge/core/error.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;
using Lines = std::vector<std::pair<std::string, std::string>>;

std::string scalar_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  if (value.is_null()) return "-";
  if (!value.is_array()) return value.dump();
  std::vector<std::string> parts;
  for (const Json& element : value) parts.push_back(scalar_text(element));
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, " "));
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& row) { return row.is_object(); });
}

/// Columns as wide as their widest cell, numbers to the right.
std::string table_text(const Json& rows) {
  std::vector<std::string> keys;
  for (const Json& row : rows)
    for (const auto& [key, value] : row.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  std::vector<std::string> lines(rows.size() + 1);
  for (const std::string& key : keys) {
    std::vector<std::string> cells = {key};
    bool numbers = true;
    for (const Json& row : rows) {
      const Json value = row.value(key, Json());
      numbers = numbers && (value.is_number() || value.is_null());
      cells.push_back(scalar_text(value));
    }
    size_t width = 0;
    for (const std::string& cell : cells) width = std::max(width, cell.size());
    for (size_t i = 0; i < cells.size(); ++i)
      lines[i] += numbers ? fmt::format("  {:>{}}", cells[i], width)
                          : fmt::format("  {:<{}}", cells[i], width);
  }
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

void flatten(const Json& object, const std::string& prefix, Lines& lines, std::string& tables) {
  for (const auto& [key, value] : object.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object())
      flatten(value, name, lines, tables);
    else if (is_table(value))
      tables += (prefix.empty() ? "" : name + "\n") + table_text(value);
    else
      lines.emplace_back(name, scalar_text(value));
  }
}

}  // namespace

void print_out(std::string_view text) {
  errno = 0;
  const size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (written == text.size()) return flush_out();
  fail("[stdout] the result cannot be written: {}", std::strerror(errno));
}

void flush_out() {
  check(std::fflush(stdout) == 0, "[stdout] the result cannot be written: {}",
        std::strerror(errno));
}

std::string readable(const Json& object) {
  Lines lines;
  std::string tables;
  flatten(object, "", lines, tables);
  size_t width = 0;
  for (const auto& line : lines) width = std::max(width, line.first.size());
  std::string text;
  for (const auto& [name, value] : lines) text += fmt::format("{:<{}}  {}\n", name, width, value);
  return text + tables;
}

}  // namespace moge
