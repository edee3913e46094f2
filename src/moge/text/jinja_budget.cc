#include "moge/text/jinja_budget.h"

#include "moge/core/error.h"

namespace moge::text::jinja {

void Budget::charge(int64_t size) {
  step(size / 256);
  check_string(size);
  bytes_ += size;
  if (bytes_ > limits_.max_bytes) {
    fail("the template makes values of more than {} bytes", limits_.max_bytes);
  }
}

void Budget::fail(std::string_view sentence) const {
  moge::fail("[chat template] line {}: {}", line_, sentence);
}

void Budget::fail(std::string_view pattern, int64_t number) const {
  fail(fmt::format(fmt::runtime(pattern), number));
}

}  // namespace moge::text::jinja
