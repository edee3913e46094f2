#include "moge/report/balance.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace moge::report {

DeviceBalance device_balance(std::span<const int64_t> rows_E, int64_t tokens, int64_t devices) {
  const size_t block = rows_E.size() / static_cast<size_t>(devices);
  int64_t most = 0, least = INT64_MAX, all = 0;
  for (size_t d = 0; d < static_cast<size_t>(devices); ++d) {
    const auto held = rows_E.subspan(d * block, block);
    const int64_t rows = std::accumulate(held.begin(), held.end(), int64_t{0});
    most = std::max(most, rows);
    least = std::min(least, rows);
    all += rows;
  }
  DeviceBalance balance{.devices = devices};
  if (tokens > 0)
    balance.imbalance_score = static_cast<double>(most - least) / static_cast<double>(tokens);
  if (all > 0)
    balance.max_over_mean =
        static_cast<double>(most) * static_cast<double>(devices) / static_cast<double>(all);
  return balance;
}

ExpertBalance expert_balance(std::span<const int64_t> rows_E) {
  ExpertBalance balance;
  int64_t most = 0, all = 0;
  for (int64_t rows : rows_E) {
    (rows > 0 ? balance.distinct : balance.dead) += 1;
    most = std::max(most, rows);
    all += rows;
  }
  if (all > 0) balance.busiest_share = static_cast<double>(most) / static_cast<double>(all);
  return balance;
}

namespace {

std::span<const int64_t> layer_of(std::span<const int64_t> rows_LE, int64_t layer,
                                  int64_t num_experts) {
  return rows_LE.subspan(static_cast<size_t>(layer * num_experts),
                         static_cast<size_t>(num_experts));
}

BatchBalance batch_balance(const BalanceInput& in, int64_t devices) {
  BatchBalance batch{.devices = devices,
                     .whole_groups = in.num_groups % devices == 0,
                     .max_over_mean = 0,
                     .plain_max_over_mean = 0};
  const double share = 1.0 / static_cast<double>(in.moe_layers.size());
  for (int64_t layer : in.moe_layers) {
    const DeviceBalance routed =
        device_balance(layer_of(in.routed_LE, layer, in.num_experts), in.tokens, devices);
    const DeviceBalance plain =
        device_balance(layer_of(in.plain_topk_LE, layer, in.num_experts), in.tokens, devices);
    batch.imbalance_score += share * routed.imbalance_score;
    batch.worst_score = std::max(batch.worst_score, routed.imbalance_score);
    batch.max_over_mean += share * routed.max_over_mean;
    batch.plain_score += share * plain.imbalance_score;
    batch.plain_max_over_mean += share * plain.max_over_mean;
  }
  return batch;
}

}  // namespace

BalanceReport make_report(const BalanceInput& in) {
  BalanceReport report;
  if (in.moe_layers.empty()) return report;
  for (int64_t devices : {2, 4, 8})
    if (in.num_experts % devices == 0) report.by_devices.push_back(batch_balance(in, devices));
  const double share = 1.0 / static_cast<double>(in.moe_layers.size());
  for (int64_t layer : in.moe_layers) {
    const ExpertBalance experts = expert_balance(layer_of(in.routed_LE, layer, in.num_experts));
    report.distinct += share * static_cast<double>(experts.distinct);
    report.busiest_share += share * experts.busiest_share;
    report.dead += experts.dead;
  }
  return report;
}

nlohmann::ordered_json to_json(const BalanceReport& report) {
  nlohmann::ordered_json devices = nlohmann::ordered_json::object();
  for (const BatchBalance& b : report.by_devices)
    devices[std::to_string(b.devices)] = {{"imbalance_score", b.imbalance_score},
                                          {"worst_layer_score", b.worst_score},
                                          {"max_over_mean", b.max_over_mean},
                                          {"half_groups", !b.whole_groups},
                                          {"plain_topk_score", b.plain_score},
                                          {"plain_topk_max_over_mean", b.plain_max_over_mean}};
  return {{"devices", devices},
          {"distinct_experts", report.distinct},
          {"busiest_share", report.busiest_share},
          {"dead_experts", report.dead}};
}

std::string one_line(const BalanceReport& report) {
  std::string line;
  for (const BatchBalance& b : report.by_devices)
    line += fmt::format(" IS on {} devices: {:.3f} (plain top-k {:.3f}){} |", b.devices,
                        b.imbalance_score, b.plain_score, b.whole_groups ? "" : " half groups");
  if (!report.by_devices.empty())
    line += fmt::format(" distinct experts: {:.1f} | busiest share: {:.3f} | dead experts: {} |",
                        report.distinct, report.busiest_share, report.dead);
  return line;
}

std::string table(const BalanceReport& report) {
  std::string text =
      "devices  imbalance score       rows max/mean         \n"
      "         grouped  plain top-k  grouped  plain top-k  \n";
  for (const BatchBalance& b : report.by_devices)
    text += fmt::format("{:>7}  {:>7.3f}  {:>11.3f}  {:>7.3f}  {:>11.3f}  {}\n", b.devices,
                        b.imbalance_score, b.plain_score, b.max_over_mean, b.plain_max_over_mean,
                        b.whole_groups ? "" : "half groups");
  text +=
      fmt::format("distinct experts {:.1f} a layer, busiest one {:.1f} % of the rows, dead {}\n",
                  report.distinct, 100 * report.busiest_share, report.dead);
  return text;
}

}  // namespace moge::report
