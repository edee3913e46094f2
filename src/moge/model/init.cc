// Initial weights: pure functions of (seed, checkpoint name, element), whatever the layout.
#include <algorithm>

#include "moge/core/rng.h"
#include "moge/model/params.h"

namespace moge {

namespace {
constexpr int64_t kBlock = 1 << 16;  // elements per task
}

void init_elements(const ModelConfig& config, uint64_t seed, const std::string& name,
                   TensorKind kind, int64_t begin, int64_t end, float* out) {
  if (kind == TensorKind::kVector) {
    std::fill_n(out, end - begin, name.ends_with(".bias") ? 0.0f : 1.0f);
    return;
  }
  const Rng rng(seed, name);
  const auto range = static_cast<float>(config.initializer_range);
  for (int64_t i = begin; i < end; ++i)
    out[i - begin] = range * rng.normal_at(static_cast<uint64_t>(i));
}

void init_params(ThreadPool& threads, const ModelConfig& config, uint64_t seed,
                 const Params& params) {
  for_each_checkpoint_tensor(
      config, params, [&](const std::string& name, const Tensor& tensor, TensorKind kind) {
        const int64_t n = tensor.numel();
        threads.parallel_for((n + kBlock - 1) / kBlock, [&](int64_t block, int) {
          const int64_t begin = block * kBlock;
          init_elements(config, seed, name, kind, begin, std::min(n, begin + kBlock),
                        tensor.as<float>() + begin);
        });
      });
}

}  // namespace moge
