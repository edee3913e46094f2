#include "moge/serve/expert_stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "moge/core/error.h"

namespace moge::serve {

namespace {

double entropy_of(std::span<const int64_t> rows, int64_t all) {
  double bits = 0;
  for (int64_t n : rows) {
    const double share = static_cast<double>(n) / static_cast<double>(all);
    if (n > 0) bits -= share * std::log(share);
  }
  return rows.size() > 1 ? bits / std::log(static_cast<double>(rows.size())) : 1.0;
}

struct Column {
  const char *name, *help;
  double (*value)(const infer::LayerLoad& load, const LayerBalance& balance);
};

constexpr Column kColumns[] = {
    {"moge:expert_imbalance_rows", "(Most - fewest rows of a group) / tokens, mean over steps.",
     [](const infer::LayerLoad& l, const LayerBalance&) { return l.row_imbalance; }},
    {"moge:expert_imbalance_bytes",
     "Most distinct experts of a group to the mean over groups, mean over steps.",
     [](const infer::LayerLoad& l, const LayerBalance&) { return l.byte_imbalance; }},
    {"moge:expert_distinct", "Experts that a step touches, mean over steps.",
     [](const infer::LayerLoad& l, const LayerBalance&) { return l.distinct; }},
    {"moge:expert_busiest_share", "Share of the busiest expert inside its group, worst group.",
     [](const infer::LayerLoad&, const LayerBalance& b) { return b.busiest_share; }},
    {"moge:expert_group_entropy", "Entropy inside a group, 1 is even, mean over groups.",
     [](const infer::LayerLoad&, const LayerBalance& b) { return b.entropy; }},
    {"moge:expert_dead", "Experts without a row.",
     [](const infer::LayerLoad&, const LayerBalance& b) { return static_cast<double>(b.dead); }},
    {"moge:expert_rows", "Rows that experts computed.",
     [](const infer::LayerLoad&, const LayerBalance& b) { return static_cast<double>(b.rows); }}};

}  // namespace

LayerBalance balance_of(const std::vector<int64_t>& rows_E, int64_t groups) {
  LayerBalance balance;
  const size_t per_group = rows_E.size() / static_cast<size_t>(groups);
  double entropies = 0;
  int64_t used_groups = 0;
  for (size_t first = 0; first + per_group <= rows_E.size() && per_group > 0; first += per_group) {
    const auto rows = std::span(rows_E).subspan(first, per_group);
    const int64_t all = std::accumulate(rows.begin(), rows.end(), int64_t{0});
    balance.rows += all;
    balance.dead += std::count(rows.begin(), rows.end(), 0);
    if (all == 0) continue;
    const auto busiest = static_cast<double>(*std::max_element(rows.begin(), rows.end()));
    balance.busiest_share = std::max(balance.busiest_share, busiest / static_cast<double>(all));
    entropies += entropy_of(rows, all);
    ++used_groups;
  }
  if (used_groups > 0) balance.entropy = entropies / static_cast<double>(used_groups);
  return balance;
}

void write_expert_metrics(std::string& out, const infer::ExpertRecorder& recorder,
                          const std::string& labels) {
  const infer::ExpertLoad load = recorder.last_minute();
  std::vector<LayerBalance> balances;
  for (const infer::LayerLoad& layer : load.layers)
    balances.push_back(balance_of(layer.rows_E, recorder.num_groups()));
  for (const Column& column : kColumns) {
    out += fmt::format("# HELP {} {} Of the last minute.\n# TYPE {} gauge\n", column.name,
                       column.help, column.name);
    for (size_t i = 0; i < load.layers.size(); ++i)
      if (!load.layers[i].rows_E.empty())
        out += fmt::format("{}{{{},layer=\"{}\"}} {}\n", column.name, labels, i,
                           column.value(load.layers[i], balances[i]));
  }
}

}  // namespace moge::serve
