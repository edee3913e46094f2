// How evenly the experts of a layer are used, from their counts: for /experts and /metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moge/infer/expert_recorder.h"

namespace moge::serve {

struct LayerBalance {
  int64_t rows = 0, dead = 0;  ///< rows of all experts; experts without one
  double busiest_share = 0;    ///< of the busiest expert inside its group, the worst group's
  double entropy = 0;          ///< inside a group, 1 = even, mean over groups that have rows
};
LayerBalance balance_of(const std::vector<int64_t>& rows_E, int64_t groups);

/// Appends the layers' balance over the last minute in Prometheus' text format: a bounded number of
/// series for each layer, whatever the number of experts.
void write_expert_metrics(std::string& out, const infer::ExpertRecorder& recorder,
                          const std::string& labels);

}  // namespace moge::serve
