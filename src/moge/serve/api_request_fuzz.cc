// Request bodies: whatever comes, either a request or an ApiError.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "moge/serve/api_error.h"
#include "moge/serve/api_request.h"
#include "moge/serve/messages_request.h"
#include "moge/serve/responses_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  try {
    moge::serve::parse_completion_request(body);
  } catch (const moge::serve::ApiError& error) {
    error.body();
  }
  try {
    moge::serve::parse_chat_request(body);
  } catch (const moge::serve::ApiError& error) {
    error.body();
  }
  try {
    moge::serve::parse_messages_request(body);
  } catch (const moge::serve::ApiError& error) {
    error.body("error");
  }
  try {
    moge::serve::parse_responses_request(body);
  } catch (const moge::serve::ApiError& error) {
    error.body();
  }
  return 0;
}
