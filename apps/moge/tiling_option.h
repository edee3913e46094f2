// --tiling: whether tile sizes of shapes that this machine has not met yet are measured.
#pragma once

#include <cstdint>
#include <string>

#include "moge/core/fields.h"
#include "moge/model/weights.h"
#include "moge/ops/tiling.h"
#include "run.h"

namespace moge {

struct TilingOption {
  std::string tiling = "auto";

  void visit(FieldList& v) {
    v("tiling", tiling,
      "tile sizes of quantized products; auto: shapes that are new on this machine are measured "
      "once, while loading; frozen: nothing is measured")
        .one_of({"auto", "frozen"});
  }
  bool frozen() const { return tiling == "frozen"; }
};

/// What is remembered in the user's cache folder; notes what cannot be read.
TilingTable read_tiling(Run& run);
/// Remembers it; notes where that is not possible.
void keep_tiling(const TilingTable& table, Run& run);

/// Gives a model's weights their tile sizes, for steps of at most `most_rows` tokens. Small weights
/// keep those that are built in: whatever their sizes, they take microseconds.
void choose_tiling(Run& run, ModelWeights& weights, int64_t most_rows, const TilingOption& option);

}  // namespace moge
