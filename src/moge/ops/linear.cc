#include "moge/ops/linear.h"

#include <algorithm>

#include "moge/ops/gmm_product.h"
#include "moge/ops/linear_checks.h"
#include "moge/ops/packed_product.h"
#include "moge/ops/product.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

int64_t panel_units(const kernels::GemmKernels& gemm, int64_t k) {
  return (k + gemm.unit_elements - 1) / gemm.unit_elements * gemm.panel_columns;
}

int64_t num_panels(const kernels::GemmKernels& gemm, int64_t n) {
  return (n + gemm.panel_columns - 1) / gemm.panel_columns;
}

/// Row-major `count` elements as another float type.
template <class From, class To>
void convert(const void* from, int64_t count, void* to) {
  const auto* source = static_cast<const From*>(from);
  auto* target = static_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) target[i] = To(static_cast<float>(source[i]));
}

/// Routed rows: those of x, or those that `token_of_R` gathers from it.
int64_t routed_rows(const char* op, const Tensor& x, const Tensor& token_of_R) {
  if (!token_of_R) return x.dim(0);
  check(token_of_R.rank == 1 && token_of_R.dtype == DType::kI32 && token_of_R.is_dense(),
        "[{}] the rows to gather are {}, want int32 [R]", op, token_of_R);
  return token_of_R.dim(0);
}

}  // namespace

Weight Weight::dense(const Tensor& w_NK) {
  check(w_NK.rank == 2 && w_NK.is_dense(), "[linear] weight is {}, want a dense matrix", w_NK);
  return {.dtype = w_NK.dtype, .n = w_NK.dim(0), .k = w_NK.dim(1), .data = w_NK.data};
}

Weight Weight::grouped(const Tensor& w_ENK) {
  check(w_ENK.rank == 3 && w_ENK.is_dense(), "[linear] weight is {}, want dense [E, N, K]", w_ENK);
  return {.dtype = w_ENK.dtype,
          .experts = w_ENK.dim(0),
          .n = w_ENK.dim(1),
          .k = w_ENK.dim(2),
          .data = w_ENK.data};
}

void linear_forward(const Context& context, const Tensor& x_RK, const Weight& w_ENK, Groups groups,
                    const Tensor& bias_N, const Tensor& y_RN, LinearOptions options) {
  constexpr const char* kOp = "linear_forward";
  if (w_ENK.quantized()) {  // two ops, each timed where it is
    const ArenaScope scope(context.scratch);
    const auto x_q = QuantizedRows::allocate(context.scratch, x_RK.dim(0), w_ENK.k);
    quantize_rows(context, x_RK, x_q);
    return linear_forward(context, x_q, options.token_of_R, w_ENK, groups, bias_N, y_RN, options);
  }
  const OpTimer timer("linear", w_ENK.experts, w_ENK.n, w_ENK.k);
  const int64_t rows = routed_rows(kOp, x_RK, options.token_of_R);
  check_weight(kOp, w_ENK, x_RK);
  check(!w_ENK.paired, "[{}] a paired weight of floats is for expert_mlp only", kOp);
  check_matrix(kOp, "x", x_RK, x_RK.dim(0), w_ENK.k);
  check_matrix(kOp, "y", y_RN, rows, w_ENK.n);
  check_bias(kOp, "bias", bias_N, w_ENK.n);
  const GroupOffsets offsets(kOp, groups, w_ENK.experts, rows);
  if (w_ENK.format == WeightFormat::kPacked)
    return run(context, PackedProduct{.weight = w_ENK,
                                      .x = ProductMatrix::of(x_RK, options.token_of_R),
                                      .y = ProductMatrix::of(y_RN),
                                      .offsets = offsets,
                                      .bias = static_cast<const float*>(bias_N.data),
                                      .accumulate = options.accumulate,
                                      .parts = sum_parts(kOp, options)});
  run(context,
      RowsProduct{.a = ProductMatrix::of(x_RK, options.token_of_R),
                  .c = ProductMatrix::of(y_RN),
                  .weight = w_ENK,
                  .use = WeightUse::kRowsAreColumns,
                  .bias = static_cast<const float*>(bias_N.data),
                  .accumulate = options.accumulate,
                  .parts = sum_parts(kOp, options)},
      offsets);
}

void linear_backward_input(const Context& context, const Tensor& dy_RN, const Weight& w_ENK,
                           Groups groups, const Tensor& dx_RK, LinearOptions options) {
  constexpr const char* kOp = "linear_backward_input";
  const int64_t rows = routed_rows(kOp, dy_RN, options.token_of_R);
  check_weight(kOp, w_ENK, dy_RN);
  check(w_ENK.format == WeightFormat::kRowMajor, "[{}] the weight is packed, want row-major", kOp);
  check_matrix(kOp, "dy", dy_RN, dy_RN.dim(0), w_ENK.n);
  check_matrix(kOp, "dx", dx_RK, rows, w_ENK.k);
  const GroupOffsets offsets(kOp, groups, w_ENK.experts, rows);
  run(context,
      RowsProduct{.a = ProductMatrix::of(dy_RN, options.token_of_R),
                  .c = ProductMatrix::of(dx_RK),
                  .weight = w_ENK,
                  .use = WeightUse::kAsStored,
                  .accumulate = options.accumulate,
                  .parts = sum_parts(kOp, options)},
      offsets);
}

void linear_backward_weight(const Context& context, const Tensor& dy_RN, const Tensor& x_RK,
                            Groups groups, const Tensor& dw_ENK, const Tensor& dbias_N,
                            GatheredRows gathered) {
  constexpr const char* kOp = "linear_backward_weight";
  check((dw_ENK.rank == 2 || dw_ENK.rank == 3) && dw_ENK.is_dense() && dw_ENK.dtype == DType::kF32,
        "[{}] dw is {}, want dense float32 [E, N, K] or [N, K]", kOp, dw_ENK);
  const int64_t experts = dw_ENK.rank == 3 ? dw_ENK.dim(0) : 1;
  const int64_t rows = routed_rows(kOp, dy_RN, gathered.dy);
  const int64_t n = dw_ENK.dim(-2), k = dw_ENK.dim(-1);
  check_matrix(kOp, "dy", dy_RN, dy_RN.dim(0), n);
  check_matrix(kOp, "x", x_RK, gathered.x ? x_RK.dim(0) : rows, k);
  check(routed_rows(kOp, x_RK, gathered.x) == rows, "[{}] {} rows of dy, {} of x", kOp, rows,
        routed_rows(kOp, x_RK, gathered.x));
  check(!dbias_N || !gathered.dy, "[{}] no bias gradient where rows of dy are gathered", kOp);
  check(dy_RN.dtype == x_RK.dtype, "[{}] dy is {}, x is {}, want one type", kOp,
        name_of(dy_RN.dtype), name_of(x_RK.dtype));
  check_bias(kOp, "dbias", dbias_N, n);
  const GroupOffsets offsets(kOp, groups, experts, rows);
  run(context,
      DepthProduct{.a = ProductMatrix::of(dy_RN, gathered.dy),
                   .b = ProductMatrix::of(x_RK, gathered.x),
                   .c = static_cast<float*>(dw_ENK.data),
                   .experts = experts,
                   .rows = n,
                   .columns = k},
      offsets);
  if (!dbias_N) return;
  const kernels::GemmKernels& gemm = gemm_of(context.kernels, dy_RN.dtype);
  const ProductMatrix dy = ProductMatrix::of(dy_RN);
  context.threads.parallel_for(num_panels(gemm, n), [&](int64_t panel, int) {
    const int64_t first = panel * gemm.panel_columns;
    const int columns = static_cast<int>(std::min<int64_t>(gemm.panel_columns, n - first));
    gemm.add_column_sums(dy.at(0, first), dy.stride, columns, rows,
                         static_cast<float*>(dbias_N.data) + first);
  });
}

int64_t packed_bytes(const kernels::Table& table, DType dtype, int64_t experts, int64_t n,
                     int64_t k) {
  check_is_float("packed_bytes", "weight", dtype);
  const kernels::GemmKernels& gemm = gemm_of(table, dtype);
  return experts * num_panels(gemm, n) * panel_units(gemm, k) * 4;
}

Weight pack_weight(const Context& context, const Weight& source, DType dtype, void* target) {
  constexpr const char* kOp = "pack_weight";
  check(source.format == WeightFormat::kRowMajor, "[{}] the weight is packed already", kOp);
  check_is_float(kOp, "source", source.dtype);
  check_is_float(kOp, "target", dtype);
  const kernels::GemmKernels& gemm = gemm_of(context.kernels, dtype);
  const int64_t panels = num_panels(gemm, source.n), k = source.k;
  const ArenaScope scope(context.scratch);
  const int64_t converted_floats = source.dtype == dtype ? 0 : gemm.panel_columns * k;
  float* converted = context.scratch.allocate<float>(context.num_threads() * converted_floats);
  const auto* data = static_cast<const char*>(source.data);
  context.threads.parallel_for(source.experts * panels, [&](int64_t task, int worker) {
    const int64_t first = task % panels * gemm.panel_columns;
    const int64_t columns = std::min<int64_t>(gemm.panel_columns, source.n - first);
    const int64_t row = task / panels * source.n + first;
    const void* from = data + row * k * size_of(source.dtype);
    if (source.dtype != dtype) {
      float* to = converted + worker * converted_floats;
      if (dtype == DType::kBF16)
        convert<float, BFloat16>(from, columns * k, to);
      else
        convert<BFloat16, float>(from, columns * k, to);
      from = to;
    }
    gemm.pack_b_rows(from, k, static_cast<int>(columns), static_cast<int>(k),
                     static_cast<float*>(target) + task * panel_units(gemm, k));
  });
  return {.format = WeightFormat::kPacked,
          .dtype = dtype,
          .experts = source.experts,
          .n = source.n,
          .k = k,
          .data = target};
}

size_t linear_scratch_bytes(const Context& context, int64_t rows, int64_t experts, int64_t n,
                            int64_t k) {
  const int64_t panel = context.kernels.gemm_f32.panel_columns;
  const size_t conversion =
      Arena::padded(static_cast<size_t>(context.num_threads() * panel * k) * sizeof(float));
  return std::max({rows_product_scratch(context, rows, experts, n, k),
                   rows_product_scratch(context, rows, experts, k, n),
                   packed_product_scratch(context, experts, n, k),
                   depth_product_scratch(context, rows, experts, n, k), conversion,
                   QuantizedRows::bytes(rows, k)});
}

}  // namespace moge
