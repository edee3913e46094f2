#include "moge/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "moge/core/error.h"
#include "moge/text/regex_syntax.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

constexpr size_t kMaxPatternBytes = 65536;
constexpr uint32_t kMaxSteps = 10'000'000;  // of backtracking, for one match

template <auto free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    free(p);
  }
};
using CodePtr = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using DataPtr = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using ContextPtr = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;

std::string message(int error) {
  char text[256] = {};
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

PCRE2_SPTR bytes(std::string_view s) { return reinterpret_cast<PCRE2_SPTR>(s.data()); }

}  // namespace

struct Regex::Code {
  CodePtr code;
  ContextPtr context;
};

Regex::Regex(std::string_view oniguruma) : code_(std::make_unique<Code>()) {
  check(oniguruma.size() <= kMaxPatternBytes, "the expression has {} bytes, at most {} are read",
        oniguruma.size(), kMaxPatternBytes);
  const std::string pattern = to_pcre2(oniguruma);
  int error = 0;
  PCRE2_SIZE at = 0;
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  code_->code.reset(pcre2_compile(bytes(pattern), pattern.size(), options, &error, &at, nullptr));
  check(code_->code != nullptr, "{}", message(error));
  pcre2_jit_compile(code_->code.get(), PCRE2_JIT_COMPLETE);  // without JIT it interprets
  code_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code_->context.get(), kMaxSteps);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

void Regex::split(std::string_view text, std::vector<Span>& spans) const {
  if (text.empty()) return;
  const DataPtr data(pcre2_match_data_create(1, nullptr));
  const PCRE2_SIZE* found = pcre2_get_ovector_pointer(data.get());
  const auto match = [&](size_t at, uint32_t options) {
    return pcre2_match(code_->code.get(), bytes(text), text.size(), at,
                       options | PCRE2_NO_UTF_CHECK, data.get(), code_->context.get());
  };
  size_t at = 0, covered = 0;
  bool any = false;
  while (at <= text.size()) {
    int status = match(at, 0);
    if (status == PCRE2_ERROR_JIT_STACKLIMIT) status = match(at, PCRE2_NO_JIT);
    if (status == PCRE2_ERROR_NOMATCH) break;
    check(status >= 0, "[tokenizer] matching {} bytes of text: {}", text.size(), message(status));
    const size_t begin = found[0], end = found[1];
    if (begin == end && any && begin == covered) {  // empty, right behind a match
      at = end + (end < text.size() ? utf8_length(text[end]) : 1);
      continue;
    }
    if (begin > covered) spans.push_back({covered, begin, false});
    spans.push_back({begin, end, true});
    any = true;
    at = covered = end;
  }
  if (covered < text.size()) spans.push_back({covered, text.size(), false});
}

}  // namespace moge::text
