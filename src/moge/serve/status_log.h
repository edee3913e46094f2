// The line that a server writes every few seconds, in the words of vLLM's.
#pragma once

#include <optional>
#include <string>

#include "moge/infer/engine.h"

namespace moge::serve {

class StatusLog {
 public:
  /// The line of the time since the last call, `seconds` ago; nothing when nothing ran and nothing
  /// has changed.
  std::optional<std::string> line(const infer::EngineStats& now, double seconds);

 private:
  infer::EngineStats last_;
  bool quiet_ = true;  // the last line said that nothing runs
};

}  // namespace moge::serve
