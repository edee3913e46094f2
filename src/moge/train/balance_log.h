// The balance of one step: for the log line, for metrics.jsonl, and as a picture.
#pragma once

#include <cstdint>
#include <string>

#include "moge/config/model_config.h"
#include "moge/train/trainer.h"

namespace moge::train {

struct BalanceLog {
  std::string line, json, table;
  std::string svg;  ///< on the most devices that hold whole groups; empty where none do
};
BalanceLog log_balance(const ModelConfig& config, const ExpertCounts& counts, int64_t tokens);

}  // namespace moge::train
