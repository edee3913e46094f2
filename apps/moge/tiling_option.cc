#include "tiling_option.h"

#include <chrono>

#include "moge/core/error.h"
#include "moge/model/members.h"

namespace moge {

namespace {
constexpr int64_t kSmallWeight = 1 << 20;  // values of one expert
}

TilingTable read_tiling(Run& run) {
  TilingTable table(run.table());
  if (const auto path = TilingTable::user_path(); !path.empty())
    if (const std::string problem = table.read(path); !problem.empty())
      run.note("tiling: " + problem + "; it is not used");
  return table;
}

void keep_tiling(const TilingTable& table, Run& run) {
  const auto path = TilingTable::user_path();
  if (path.empty()) return;
  try {
    table.write(path);
  } catch (const Error& error) {
    run.note(std::string("tiling: not remembered: ") + error.what());
  }
}

void choose_tiling(Run& run, ModelWeights& weights, int64_t most_rows, const TilingOption& option) {
  const auto start = std::chrono::steady_clock::now();
  TilingTable table = read_tiling(run);
  Arena none(64);
  const Context context{run.pool(), run.table(), none};
  int measured = 0;
  const auto choose = [&](Weight& w) {
    if (!w.quantized() || w.n * w.k < kSmallWeight) return;
    if (option.frozen())
      table.assign(w);
    else
      measured += tune(context, table, w, most_rows);
  };
  for (LayerWeights& layer : weights.layers)
    for (const MatrixMember& member : kLayerMatrices) choose(layer.*member.weights);
  choose(weights.lm_head_VD);
  if (measured == 0) return;
  keep_tiling(table, run);
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
  run.detail(fmt::format("tiling: measured {} products in {:.0f} ms", measured, ms.count()));
}

}  // namespace moge
