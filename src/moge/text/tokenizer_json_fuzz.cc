// libFuzzer: any bytes as tokenizer.json. It is refused with an Error, or encodes and decodes.
#include <cstdlib>

#include "moge/core/error.h"
#include "moge/text/tokenizer.h"
#include "moge/text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = moge::Tokenizer::from_json(json, "", "fuzz/tokenizer.json");
    for (const char* text : {"", " ab  cd", "a01.b\n<s>\xE4\xB8\xAD",
                             "abababababababababababababababab", "\xFF\xC3\xA9 A\xCC\x8A"}) {
      const auto ids = tokenizer->encode(text, true);
      moge::StreamDecoder stream(*tokenizer, /*skip_special=*/false);
      std::string streamed;
      for (const int32_t id : ids) streamed += stream.push(id);
      streamed += stream.flush();
      if (streamed != tokenizer->decode(ids, false)) std::abort();
      if (!moge::text::is_valid_utf8(streamed)) std::abort();
    }
  } catch (const moge::Error&) {
  }
  return 0;
}
