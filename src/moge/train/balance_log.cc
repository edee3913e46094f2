#include "moge/train/balance_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/report/balance.h"
#include "moge/report/balance_svg.h"

namespace moge::train {

BalanceLog log_balance(const ModelConfig& config, const ExpertCounts& counts, int64_t tokens) {
  report::BalanceInput input{.num_experts = config.moe.num_experts,
                             .num_groups = config.moe.num_groups,
                             .tokens = tokens,
                             .routed_LE = counts.routed,
                             .plain_topk_LE = counts.plain_topk};
  for (int64_t layer = 0; layer < config.num_layers(); ++layer)
    if (config.layers[static_cast<size_t>(layer)].moe) input.moe_layers.push_back(layer);
  const report::BalanceReport report = report::make_report(input);
  int64_t devices = 0;
  for (const report::BatchBalance& batch : report.by_devices)
    if (batch.whole_groups) devices = std::max(devices, batch.devices);
  return {.line = report::one_line(report),
          .json = report::to_json(report).dump(),
          .table = report::table(report),
          .svg = devices > 0 ? report::balance_svg(input, devices) : ""};
}

}  // namespace moge::train
