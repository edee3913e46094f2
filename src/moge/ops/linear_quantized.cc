// Quantized products (layouts: kernels/gmm.h). T tokens, R routed rows, K input width, N output
// width, E experts.
#include <algorithm>
#include <bit>
#include <cmath>

#include "moge/kernels/gmm.h"
#include "moge/ops/linear_checks.h"

namespace moge {

namespace {

using namespace kernels;  // NOLINT: the layout's constants and functions

constexpr int64_t kRowAlignment = 64;
int64_t row_stride(int64_t k) { return (k + kRowAlignment - 1) / kRowAlignment * kRowAlignment; }

template <class X>
void quantize_row(const X* x, const QuantizedRows& q, int64_t row) {
  uint32_t largest = 0;  // as bits, so that NaN is above all numbers
  for (int64_t i = 0; i < q.k; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(static_cast<float>(x[i])) & 0x7fffffffu);
  const float absmax = std::bit_cast<float>(largest);
  const float factor = absmax > 0 ? 127.0f / absmax : 0.0f;
  int8_t* values = q.values + row * q.stride;
  int32_t* sums = q.sums + row * gmm_groups(q.k);
  q.scales[row] = absmax / 127.0f;
  std::fill(sums, sums + gmm_groups(q.k), 0);
  std::fill(values + q.k, values + q.stride, int8_t{0});
  for (int64_t i = 0; i < q.k; ++i) {
    const float scaled = static_cast<float>(x[i]) * factor;
    values[i] = std::abs(scaled) <= 127.0f ? static_cast<int8_t>(std::nearbyint(scaled)) : 0;
    sums[i / kGmmGroup] += values[i];
  }
}

int64_t panels_of(const Weight& w) {
  return w.paired ? (w.n / 2 + kGmmHalf - 1) / kGmmHalf : (w.n + kGmmPanel - 1) / kGmmPanel;
}

/// One element by the definition.
float product_int8(const int8_t* x, float scale, const uint8_t* panel, int64_t k, int64_t slot) {
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i)
    sum += x[i] * (panel[i / 4 * kGmmUnitBytes8 + slot * 4 + i % 4] - 128);
  const auto* scales = reinterpret_cast<const float*>(panel + gmm_units(k) * kGmmUnitBytes8);
  return static_cast<float>(sum) * scales[slot] * scale;
}
float product_int4(const int8_t* x, float scale, const uint8_t* panel, int64_t k, int64_t slot) {
  float sum = 0;
  for (int64_t begin = 0; begin < k; begin += kGmmGroup) {
    const float weight_scale = static_cast<float>(reinterpret_cast<const BFloat16*>(panel)[slot]);
    panel += kGmmScaleBytes4;
    int32_t group = 0;
    const int64_t end = std::min(k, begin + kGmmGroup);
    for (int64_t i = begin; i < end; ++i) {
      const int byte = panel[(i - begin) / 4 * kGmmUnitBytes4 + slot % kGmmHalf * 4 + i % 4];
      group += x[i] * ((slot < kGmmHalf ? byte & 15 : byte >> 4) - 8);
    }
    sum = std::fma(static_cast<float>(group), weight_scale, sum);
    panel += kGmmGroupUnits * kGmmUnitBytes4;
  }
  return sum * scale;
}

}  // namespace

QuantizedRows QuantizedRows::allocate(Arena& arena, int64_t rows, int64_t k) {
  QuantizedRows q{.rows = rows, .k = k, .stride = row_stride(k)};
  q.values = arena.allocate<int8_t>(rows * q.stride);
  q.scales = arena.allocate<float>(rows);
  q.sums = arena.allocate<int32_t>(rows * gmm_groups(k));
  return q;
}

size_t QuantizedRows::bytes(int64_t rows, int64_t k) {
  return Arena::padded(static_cast<size_t>(rows * row_stride(k))) +
         Arena::padded(static_cast<size_t>(rows) * 4) +
         Arena::padded(static_cast<size_t>(rows * gmm_groups(k)) * 4);
}

void quantize_rows(const Context& context, const Tensor& x_RK, const QuantizedRows& q) {
  check_matrix("quantize_rows", "x", x_RK, q.rows, q.k);
  context.threads.parallel_for(q.rows, [&](int64_t row, int) {
    if (x_RK.dtype == DType::kBF16)
      quantize_row(x_RK.as<BFloat16>() + row * x_RK.row_stride(), q, row);
    else
      quantize_row(x_RK.as<float>() + row * x_RK.row_stride(), q, row);
  });
}

void linear_forward(const Context& context, const QuantizedRows& x_TK, const Tensor& token_of_R,
                    const Weight& w, Groups groups, const Tensor& bias_N, const Tensor& y_RN,
                    LinearOptions options) {
  constexpr const char* kOp = "linear_forward";
  const int64_t rows = token_of_R ? token_of_R.dim(0) : x_TK.rows;
  check(w.quantized(), "[{}] the input is quantized but the weight is not", kOp);
  check(x_TK.k == w.k, "[{}] quantized x has {} columns, want {}", kOp, x_TK.k, w.k);
  check_matrix(kOp, "y", y_RN, rows, w.n);
  check_bias(kOp, "bias", bias_N, w.n);
  const GroupOffsets offsets(kOp, groups, w.experts, rows);
  const bool int4 = w.format == WeightFormat::kW4A8;
  const int64_t panel_bytes = gmm_panel_bytes(int4, w.k), panels = panels_of(w), half = w.n / 2;
  const auto store = [&](int64_t r, int64_t n, float value) {
    if (bias_N) value += bias_N.as<float>()[n];
    const int64_t at = r * y_RN.row_stride() + n;
    if (y_RN.dtype == DType::kF32) {
      auto& y = y_RN.as<float>()[at];
      y = options.accumulate ? y + value : value;
    } else {
      auto& y = y_RN.as<BFloat16>()[at];
      y = BFloat16(options.accumulate ? static_cast<float>(y) + value : value);
    }
  };
  context.threads.parallel_for(w.experts * panels, [&](int64_t task, int) {
    const int64_t e = task / panels, p = task % panels;
    const uint8_t* panel = static_cast<const uint8_t*>(w.data) + task * panel_bytes;
    for (int64_t r = Groups(offsets)[e]; r < Groups(offsets)[e + 1]; ++r)
      for (int64_t slot = 0; slot < kGmmPanel; ++slot) {
        const int64_t in_half = p * kGmmHalf + slot % kGmmHalf;
        const int64_t n = w.paired ? in_half + (slot < kGmmHalf ? 0 : half) : p * kGmmPanel + slot;
        if (w.paired ? in_half >= half : n >= w.n) continue;
        const int64_t t = token_of_R ? token_of_R.as<int32_t>()[r] : r;
        const int8_t* x = x_TK.values + t * x_TK.stride;
        store(r, n,
              int4 ? product_int4(x, x_TK.scales[t], panel, w.k, slot)
                   : product_int8(x, x_TK.scales[t], panel, w.k, slot));
      }
  });
}

}  // namespace moge
