// For tests: what a refused call says.
#pragma once

#include <string>

#include "moge/core/error.h"

namespace moge {

/// The message of the Error that `call` throws; empty if it throws none.
std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace moge
