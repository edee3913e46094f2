// Random weights: pure functions of (seed, checkpoint name, element), whatever the threads.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "moge/core/rng.h"
#include "moge/model/source.h"
#include "moge/quant/pack.h"
#include "moge/quant/round.h"

namespace moge {

namespace {
constexpr int64_t kSlowParams = int64_t{1} << 28;
constexpr int64_t kBlock = 1024;

/// Those of a training run's start.
class InitialSource : public WeightSource {
 public:
  InitialSource(const ModelConfig& config, uint64_t seed) : config_(config), seed_(seed) {}

  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            float* out) const override {
    init_elements(config_, seed_, part.name, tensor.kind, begin, end, out);
  }
  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            BFloat16* out) const override {
    float values[kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = std::min(kBlock, end - i);
      read(tensor, part, i, i + n, values);
      for (int64_t j = 0; j < n; ++j) out[i - begin + j] = BFloat16(values[j]);
    }
  }
  DType stored_dtype(const ParamTensor&, const CheckpointPart&) const override {
    return DType::kBF16;
  }

 protected:
  const ModelConfig& config() const { return config_; }
  uint64_t seed() const { return seed_; }

 private:
  ModelConfig config_;
  uint64_t seed_;
};

/// 64 bits of a counter (SplitMix64), a nanosecond each.
class FastBits {
 public:
  FastBits(uint64_t seed, const std::string& name) : base_(Rng(seed, name).bits_at(0)) {}
  uint64_t at(int64_t index) const {
    uint64_t z = base_ + static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t base_;
};

/// Uniform values with the standard deviation of config.initializer_range.
class FastSource final : public InitialSource {
 public:
  using InitialSource::InitialSource;
  using InitialSource::read;

  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            float* out) const override {
    if (tensor.kind == TensorKind::kVector)
      return InitialSource::read(tensor, part, begin, end, out);
    const FastBits bits(seed(), part.name);
    const float step = range() * std::sqrt(3.0f) / 0x1p15f;
    uint64_t four = begin % 4 ? bits.at(begin / 4) : 0;
    for (int64_t i = begin; i < end; ++i) {
      if (i % 4 == 0) four = bits.at(i / 4);
      const auto one = static_cast<int16_t>(four >> (16 * (i % 4)));
      out[i - begin] = (static_cast<float>(one) + 0.5f) * step;
    }
  }

  bool gives(const CheckpointPart& part, QuantScheme) const override {
    return part.shape.size() == 2;
  }
  void read_w8(const CheckpointPart& part, int64_t begin, int64_t end, int8_t* values,
               float* scales) const override {
    const int64_t k = part.shape[1], words = (k + 7) / 8;
    const FastBits bits(seed(), part.name);
    // Of whole numbers in [-127, 127], 0 twice as often: 73.5.
    constexpr float kDeviation = 73.46f;
    std::fill_n(scales, end - begin, range() / kDeviation);
    for (int64_t row = begin; row < end; ++row)
      for (int64_t w = 0; w < words; ++w) {
        const uint64_t eight = without_lowest(bits.at(row * words + w));
        std::memcpy(values + (row - begin) * k + 8 * w, &eight,
                    static_cast<size_t>(std::min<int64_t>(8, k - 8 * w)));
      }
  }
  void read_w4(const CheckpointPart& part, int64_t begin, int64_t end, uint32_t* words,
               BFloat16* scales) const override {
    const int64_t k = part.shape[1], per_row = quant::packed_words(k), pairs = (per_row + 1) / 2;
    const FastBits bits(seed(), part.name);
    constexpr float kDeviation = 4.183f;  // of whole numbers in [-7, 7], 0 twice as often
    std::fill_n(scales, (end - begin) * quant::num_groups(k), BFloat16(range() / kDeviation));
    for (int64_t row = begin; row < end; ++row) {
      uint32_t* out = words + (row - begin) * per_row;
      for (int64_t p = 0; p < pairs; ++p) {
        const uint64_t sixteen = without_zero_nibbles(bits.at(row * pairs + p));
        out[2 * p] = static_cast<uint32_t>(sixteen);
        if (2 * p + 1 < per_row) out[2 * p + 1] = static_cast<uint32_t>(sixteen >> 32);
      }
      if (k % 8) out[per_row - 1] &= (uint32_t{1} << (4 * (k % 8))) - 1;
    }
  }

 private:
  float range() const { return static_cast<float>(config().initializer_range); }
  /// A byte of -128 becomes 0.
  static uint64_t without_lowest(uint64_t x) {
    constexpr uint64_t kLow = 0x7f7f7f7f7f7f7f7fu;
    return x ^ (x & ~((x & kLow) + kLow) & ~kLow);
  }
  /// A nibble of 0 (the value -8) becomes 8 (the value 0), so that the mean is 0.
  static uint64_t without_zero_nibbles(uint64_t x) {
    uint64_t any = x | (x >> 2);
    any = (any | (any >> 1)) & 0x1111111111111111u;
    return x | ((any ^ 0x1111111111111111u) << 3);
  }
};
}  // namespace

std::unique_ptr<WeightSource> random_weights(const ModelConfig& config, uint64_t seed) {
  if (count_params(config) > kSlowParams) return std::make_unique<FastSource>(config, seed);
  return std::make_unique<InitialSource>(config, seed);
}

}  // namespace moge
