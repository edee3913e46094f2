// stdout, and JSON made readable for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace moge {

/// Writes to stdout and flushes; throws Error if that fails (a full disk, a closed pipe).
void print_out(std::string_view text);
void flush_out();

/// "name  value" lines; nested names joined by dots, lists of objects as a table with a header.
std::string readable(const nlohmann::ordered_json& object);

}  // namespace moge
