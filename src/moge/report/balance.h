// How evenly experts and devices are loaded, from row counts of one batch (paper Eq. 3,
// section 2.1). L layers, E experts, D devices; experts lie on devices in contiguous blocks of E /
// D.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace moge::report {

/// One layer on D devices.
struct DeviceBalance {
  int64_t devices = 0;
  double imbalance_score = 0;  ///< (max - min rows of a device) / tokens, Eq. 3
  double max_over_mean = 1;    ///< rows of the busiest device to the mean: the straggler factor
};
DeviceBalance device_balance(std::span<const int64_t> rows_E, int64_t tokens, int64_t devices);

/// One layer by expert.
struct ExpertBalance {
  int64_t distinct = 0;      ///< experts with at least one row
  int64_t dead = 0;          ///< experts without one
  double busiest_share = 0;  ///< rows of the busiest expert to all rows
};
ExpertBalance expert_balance(std::span<const int64_t> rows_E);

/// A batch over all MoE layers: means over layers, and the worst layer's score.
struct BatchBalance {
  int64_t devices = 0;
  bool whole_groups = true;  ///< devices divide the groups: the score is 0 by construction
  double imbalance_score = 0, worst_score = 0, max_over_mean = 1;
  double plain_score = 0, plain_max_over_mean = 1;  ///< plain top-K over the same softmax
};
struct BalanceReport {
  std::vector<BatchBalance> by_devices;
  double distinct = 0, busiest_share = 0;  ///< means over layers
  int64_t dead = 0;                        ///< of all layers
};

struct BalanceInput {
  int64_t num_experts = 0, num_groups = 1, tokens = 0;
  std::vector<int64_t> moe_layers;         ///< indices of the layers that have experts
  std::span<const int64_t> routed_LE;      ///< rows by layer and expert
  std::span<const int64_t> plain_topk_LE;  ///< what plain top-K would have routed
};

/// For 2, 4 and 8 devices, as far as they divide the number of experts.
BalanceReport make_report(const BalanceInput& input);

nlohmann::ordered_json to_json(const BalanceReport& report);
/// " balance: IS 0.000 (plain top-k 0.123) on 4 devices, ..." for the log line.
std::string one_line(const BalanceReport& report);
/// A table for people.
std::string table(const BalanceReport& report);

}  // namespace moge::report
