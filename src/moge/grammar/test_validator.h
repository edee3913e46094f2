// A small JSON Schema validator for tests, written apart from the compiler it judges.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace moge::grammar {

/// Why `value` does not validate; empty where it does.
std::string invalid_because(const nlohmann::json& schema, const nlohmann::json& value,
                            const nlohmann::json& root);

}  // namespace moge::grammar
