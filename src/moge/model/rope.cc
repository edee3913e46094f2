#include "moge/model/rope.h"

#include <cmath>
#include <numbers>

namespace moge {

namespace {
/// llama3: wavelengths above original/low are slowed by `factor`, those below original/high are
/// kept, those between are blended linearly in 1/wavelength.
double llama3_frequency(const RopeConfig& rope, double frequency) {
  const double turns =
      static_cast<double>(rope.original_max_position) * frequency / (2.0 * std::numbers::pi);
  if (turns < rope.low_freq_factor) return frequency / rope.factor;
  if (turns > rope.high_freq_factor) return frequency;
  const double blend =
      (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1.0 - blend) * frequency / rope.factor + blend * frequency;
}
}  // namespace

std::vector<double> rope_frequencies(const RopeConfig& rope, int64_t head_dim) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < head_dim; i += 2) {
    double f = std::pow(rope.theta, -static_cast<double>(i) / static_cast<double>(head_dim));
    if (rope.type == RopeConfig::Type::kLinear) f /= rope.factor;
    if (rope.type == RopeConfig::Type::kLlama3) f = llama3_frequency(rope, f);
    frequencies.push_back(f);
  }
  return frequencies;
}

RopeTable make_rope_table(const ModelConfig& config, int64_t positions, Buffer& storage) {
  const auto frequencies = rope_frequencies(config.rope, config.head_dim);
  const int64_t half = config.head_dim / 2;
  storage = Buffer(static_cast<size_t>(2 * positions * half) * sizeof(float));
  float* cosines = storage.as<float>();
  float* sines = cosines + positions * half;
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * frequencies[i];
      cosines[p * half + i] = static_cast<float>(std::cos(angle));
      sines[p * half + i] = static_cast<float>(std::sin(angle));
    }
  return {Tensor::of(cosines, {positions, half}), Tensor::of(sines, {positions, half})};
}

}  // namespace moge
