#include "eager_attention.h"

#include <cmath>
#include <cstring>

#include "moge/ops/linear.h"
#include "moge/ops/rows.h"

namespace moge {

EagerAttention::EagerAttention(const AttentionShape& shape, DType dtype, int64_t rows)
    : shape_(shape), dtype_(dtype), rows_(rows) {
  const auto bytes = [dtype](int64_t elements) {
    return static_cast<size_t>(elements * size_of(dtype));
  };
  const int64_t queries = shape.batch * shape.heads * rows;
  q_ = Buffer(bytes(queries * shape.head_dim));
  p_ = Buffer(bytes(queries * shape.context));
  out_ = Buffer(bytes(queries * shape.head_dim));
  const int64_t group = shape.heads / shape.kv_heads;
  k_ = Buffer(bytes(shape.kv_elements() * group));
  v_ = Buffer(bytes(shape.kv_elements() * group));
}

Tensor EagerAttention::matrix(const void* base, int64_t index, int64_t rows,
                              int64_t columns) const {
  const int64_t at = index * rows * columns * size_of(dtype_);
  return Tensor(static_cast<char*>(const_cast<void*>(base)) + at, dtype_, {rows, columns});
}

void EagerAttention::repeat_heads(const Context& context, const void* from, Buffer& to) const {
  const int64_t group = shape_.heads / shape_.kv_heads;
  const int64_t bytes = shape_.context * shape_.head_dim * size_of(dtype_);
  context.threads.parallel_for(shape_.batch * shape_.heads, [&](int64_t head, int) {
    std::memcpy(to.data() + head * bytes, static_cast<const char*>(from) + head / group * bytes,
                static_cast<size_t>(bytes));
  });
}

void EagerAttention::decode(const Context& context, const void* k, const void* v, bool repeat) {
  if (repeat) {
    repeat_heads(context, k, k_);
    repeat_heads(context, v, v_);
    k = k_.data();
    v = v_.data();
  }
  const auto& kernel = context.kernels.eager_attention;
  const int type = dtype_ == DType::kBF16 ? kernels::kBf16 : kernels::kFp32;
  const int64_t heads = repeat ? shape_.heads : shape_.kv_heads, G = shape_.heads / heads;
  const auto rows = [&](int64_t head) {
    return kernels::EagerRows{.G = G,
                              .K = shape_.context,
                              .C = shape_.head_dim,
                              .q_GC = matrix(q_.data(), head, G, shape_.head_dim).data,
                              .k_KC = matrix(k, head, shape_.context, shape_.head_dim).data,
                              .v_KC = matrix(v, head, shape_.context, shape_.head_dim).data,
                              .p_GK = matrix(p_.data(), head, G, shape_.context).data,
                              .out_GC = matrix(out_.data(), head, G, shape_.head_dim).data,
                              .scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim))};
  };
  for (const auto step : {kernel.scores[type], kernel.softmax[type], kernel.values[type]})
    context.threads.parallel_for(shape_.batch * heads,
                                 [&](int64_t head, int) { step(rows(head)); });
}

void EagerAttention::prefill(const Context& context, const void* k, const void* v, bool repeat) {
  const int64_t group = shape_.heads / shape_.kv_heads, T = shape_.context, C = shape_.head_dim;
  if (repeat) {
    repeat_heads(context, k, k_);
    repeat_heads(context, v, v_);
    k = k_.data();
    v = v_.data();
  }
  const auto weight = [&](const void* x, int64_t head) {
    return Weight::dense(matrix(x, repeat ? head : head / group, T, C));
  };
  for (int64_t head = 0; head < shape_.heads; ++head)
    linear_forward(context, matrix(q_.data(), head, T, C), weight(k, head), {}, {},
                   matrix(p_.data(), head, T, T));
  const auto& kernel = context.kernels.eager_attention;
  const int type = dtype_ == DType::kBF16 ? kernels::kBf16 : kernels::kFp32;
  context.threads.parallel_for(shape_.heads * T, [&](int64_t row, int) {  // masked ones included
    kernel.softmax[type]({.G = 1, .K = T, .C = C, .p_GK = matrix(p_.data(), row, 1, T).data});
  });
  for (int64_t head = 0; head < shape_.heads; ++head)
    linear_backward_input(context, matrix(p_.data(), head, T, T), weight(v, head), {},
                          matrix(out_.data(), head, T, C));
}

}  // namespace moge
