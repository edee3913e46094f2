#include "moge/data/python_code.h"

#include "moge/data/python_parts.h"

namespace moge::data {

void append_python_function(std::string& out, Rng& rng) {
  const std::span<const PythonWriter> tables[] = {number_writers(), list_writers(), text_writers()};
  size_t count = 0;
  for (const auto& table : tables) count += table.size();
  size_t chosen = rng.below(count);
  for (const auto& table : tables) {
    if (chosen < table.size()) return table[chosen](out, rng);
    chosen -= table.size();
  }
}

}  // namespace moge::data
