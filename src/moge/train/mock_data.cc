#include "moge/train/mock_data.h"

#include "moge/core/rng.h"

namespace moge::train {

SampleSource mock_samples(uint64_t seed, int64_t vocab_size) {
  return [rng = Rng(seed, "mock-data"), vocab_size](
             int64_t sample, std::span<int32_t> tokens, std::span<int32_t> targets,
             std::span<int32_t> positions, std::span<float> mask, std::vector<int32_t>& lengths) {
    const auto T = static_cast<int64_t>(tokens.size());
    const auto draw = [&](int64_t t) {
      const auto index = static_cast<uint64_t>(sample * (T + 1) + t);
      return static_cast<int32_t>(rng.bits_at(index) % static_cast<uint64_t>(vocab_size));
    };
    for (int64_t t = 0; t < T; ++t) {
      const auto i = static_cast<size_t>(t);
      tokens[i] = draw(t);
      targets[i] = draw(t + 1);
      positions[i] = static_cast<int32_t>(t);
      mask[i] = 1.0f;
    }
    lengths.push_back(static_cast<int32_t>(T));
  };
}

}  // namespace moge::train
