// Sums, conversions and the sigmoid gate: shape checks and row blocks. T tokens, D model dim.
#include "moge/ops/elementwise.h"

#include <cstring>

#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

void check_same_shape(const Tensor& x, const Tensor& y, const char* op) {
  bool same = x.rank == y.rank;
  for (int i = 0; same && i < x.rank; ++i) same = x.shape[i] == y.shape[i];
  check(same, "[{}] {} and {} differ in shape", op, x, y);
  check(x.is_dense() || x.rank <= 2, "[{}] {} has gaps", op, x);
  check(y.is_dense() || y.rank <= 2, "[{}] {} has gaps", op, y);
}

/// task(offset into x, offset into y, elements) in blocks; x and y have one shape.
template <class Task>
void for_elements(const Context& context, const Tensor& x, const Tensor& y, Task task) {
  if (x.is_dense() && y.is_dense()) {
    for_row_blocks(context, x.numel(), 8,
                   [&](int64_t begin, int64_t end) { task(begin, begin, end - begin); });
    return;
  }
  for_row_blocks(context, x.dim(0), x.dim(1) * 8, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) task(t * x.stride[0], t * y.stride[0], x.dim(1));
  });
}

char* at(const Tensor& x, int64_t offset) {
  return static_cast<char*>(x.data) + offset * size_of(x.dtype);
}

void check_gate(const Tensor& gate_T, const Tensor& x_TD) {
  check(x_TD.rank == 2, "[sigmoid_gate] x is {}, want [T, D]", x_TD);
  check(gate_T.numel() == x_TD.dim(0) && gate_T.dtype == DType::kF32 && gate_T.is_dense(),
        "[sigmoid_gate] gate is {}, want {} dense float32", gate_T, x_TD.dim(0));
}

}  // namespace

void sigmoid_gate_forward(const Context& context, const Tensor& gate_T, const Tensor& x_TD,
                          const Tensor& y_TD) {
  check_gate(gate_T, x_TD);
  const int64_t T = x_TD.dim(0), D = x_TD.dim(1);
  check_shape(y_TD, {T, D}, "sigmoid_gate", "y");
  check(y_TD.dtype == DType::kF32, "[sigmoid_gate] y is {}, want float32", y_TD);
  const auto kernel =
      context.kernels.elementwise.sigmoid_gate_forward[type_index(x_TD, "sigmoid_gate")];
  for_row_blocks(context, T, D * 12, [&](int64_t begin, int64_t end) {
    kernel({.gate_T = gate_T.as<float>() + begin,
            .x = rows_from(x_TD, begin),
            .y = rows_to(y_TD, begin),
            .T = end - begin,
            .D = D});
  });
}

void sigmoid_gate_backward(const Context& context, const Tensor& gate_T, const Tensor& x_TD,
                           const Tensor& dy_TD, const Tensor& dx_TD, const Tensor& dgate_T) {
  check_gate(gate_T, x_TD);
  check_gate(dgate_T, x_TD);
  const int64_t T = x_TD.dim(0), D = x_TD.dim(1);
  check_shape(dy_TD, {T, D}, "sigmoid_gate", "dy");
  check_shape(dx_TD, {T, D}, "sigmoid_gate", "dx");
  check(dy_TD.dtype == DType::kF32, "[sigmoid_gate] dy is {}, want float32", dy_TD);
  const auto kernel = context.kernels.elementwise.sigmoid_gate_backward[type_index(
      x_TD, "sigmoid_gate")][type_index(dx_TD, "sigmoid_gate")];
  for_row_blocks(context, T, D * 12, [&](int64_t begin, int64_t end) {
    kernel({.gate_T = gate_T.as<float>() + begin,
            .x = rows_from(x_TD, begin),
            .dy = rows_from(dy_TD, begin),
            .dx = rows_to(dx_TD, begin),
            .dgate_T = dgate_T.as<float>() + begin,
            .T = end - begin,
            .D = D});
  });
}

void add(const Context& context, const Tensor& x, const Tensor& y) {
  const OpTimer timer("add");
  check_same_shape(x, y, "add");
  check(y.dtype == DType::kF32, "[add] y is {}, want float32", y);
  const auto kernel = context.kernels.elementwise.add[type_index(x, "add")];
  for_elements(context, x, y, [&](int64_t from, int64_t to, int64_t n) {
    kernel(at(x, from), y.as<float>() + to, n);
  });
}

void cast(const Context& context, const Tensor& from, const Tensor& to) {
  check_same_shape(from, to, "cast");
  const auto kernel =
      context.kernels.elementwise.cast[type_index(from, "cast")][type_index(to, "cast")];
  for_elements(context, from, to, [&](int64_t source, int64_t target, int64_t n) {
    kernel(at(from, source), at(to, target), n);
  });
}

void fill_zero(const Context& context, const Tensor& x) {
  check_same_shape(x, x, "fill_zero");
  for_elements(context, x, x, [&](int64_t begin, int64_t, int64_t n) {
    std::memset(at(x, begin), 0, static_cast<size_t>(n * size_of(x.dtype)));
  });
}

}  // namespace moge
