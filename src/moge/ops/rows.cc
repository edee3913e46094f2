#include "moge/ops/rows.h"

namespace moge {

void add_block_sums(const Context& context, float* sums, int64_t blocks, int64_t width,
                    float* target_C) {
  if (blocks == 0) return;
  constexpr int64_t kColumns = 512;
  const auto add = context.kernels.elementwise.add[kernels::kFp32];
  context.threads.parallel_for((width + kColumns - 1) / kColumns, [&](int64_t task, int) {
    const int64_t begin = task * kColumns, n = std::min(kColumns, width - begin);
    for (int64_t step = 1; step < blocks; step *= 2)
      for (int64_t i = 0; i + step < blocks; i += 2 * step)
        add(sums + (i + step) * width + begin, sums + i * width + begin, n);
    add(sums + begin, target_C + begin, n);
  });
}

}  // namespace moge
