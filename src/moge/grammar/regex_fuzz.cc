// libFuzzer: any bytes as regular expressions. They are refused with an Error, or can be followed
// to an end.
#include "moge/grammar/test_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return moge::grammar::fuzz(data, size, moge::grammar::OutputFormat::Kind::kRegex);
}
