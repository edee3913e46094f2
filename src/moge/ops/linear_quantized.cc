// Quantized products (layouts: kernels/gmm.h). T tokens, R routed rows, K input width, N output
// width, E experts.
#include "moge/ops/gmm_product.h"
#include "moge/ops/linear_checks.h"
#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

using kernels::gmm_groups;
using kernels::GmmStore;

constexpr int64_t kRowAlignment = 64;
int64_t row_stride(int64_t k) { return (k + kRowAlignment - 1) / kRowAlignment * kRowAlignment; }

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
  const OpTimer timer("quantize");
  check_matrix("quantize_rows", "x", x_RK, q.rows, q.k);
  const auto quantize = context.kernels.gmm.quantize[type_index(x_RK, "quantize_rows")];
  const int64_t groups = gmm_groups(q.k), element = size_of(x_RK.dtype);
  for_row_blocks(context, q.rows, q.k * 4, [&](int64_t begin, int64_t end) {
    quantize({.x = static_cast<const char*>(x_RK.data) + begin * x_RK.row_stride() * element,
              .x_stride = x_RK.row_stride(),
              .rows = end - begin,
              .k = q.k,
              .values = q.values + begin * q.stride,
              .stride = q.stride,
              .scales = q.scales + begin,
              .sums = q.sums + begin * groups});
  });
}

void linear_forward(const Context& context, const QuantizedRows& x_TK, const Tensor& token_of_R,
                    const Weight& w, Groups groups, const Tensor& bias_N, const Tensor& y_RN,
                    LinearOptions options) {
  const OpTimer timer("linear", w.experts, w.n, w.k);
  constexpr const char* kOp = "linear_forward";
  const int64_t rows = token_of_R ? token_of_R.dim(0) : x_TK.rows;
  check(w.quantized(), "[{}] the input is quantized but the weight is not", kOp);
  check(x_TK.k == w.k, "[{}] quantized x has {} columns, want {}", kOp, x_TK.k, w.k);
  check_matrix(kOp, "y", y_RN, rows, w.n);
  check_bias(kOp, "bias", bias_N, w.n);
  const GroupOffsets offsets(kOp, groups, w.experts, rows);
  run(context, GmmProduct{.weight = w,
                          .x = x_TK,
                          .index = token_of_R ? token_of_R.as<int32_t>() : nullptr,
                          .offsets = offsets,
                          .y = y_RN.data,
                          .y_stride = y_RN.row_stride(),
                          .store = y_RN.dtype == DType::kBF16 ? GmmStore::kBF16 : GmmStore::kF32,
                          .bias = static_cast<const float*>(bias_N.data),
                          .accumulate = options.accumulate});
}

}  // namespace moge
