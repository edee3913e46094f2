#include "moge/tensor/tensor.h"

#include <algorithm>

namespace moge {

int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kI8:
    case DType::kU8:
      return 1;
    case DType::kBF16:
    case DType::kF16:
    case DType::kI16:
    case DType::kU16:
      return 2;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF64:
    case DType::kI64:
      return 8;
  }
  return 0;
}

const char* name_of(DType dtype) {
  static constexpr const char* kNames[] = {"float32", "bfloat16", "float16", "float64", "int8",
                                           "uint8",   "int16",    "uint16",  "int32",   "int64"};
  return kNames[static_cast<int>(dtype)];
}

Tensor::Tensor(void* data_in, DType dtype_in, std::initializer_list<int64_t> shape_in)
    : data(data_in), dtype(dtype_in), rank(static_cast<int>(shape_in.size())) {
  check(rank <= kMaxRank, "[tensor] rank {} is more than {}", rank, kMaxRank);
  int i = 0;
  for (int64_t n : shape_in) shape[i++] = n;
  int64_t step = 1;
  for (i = rank - 1; i >= 0; --i) {
    stride[i] = step;
    step *= shape[i];
  }
}

int64_t Tensor::numel() const {
  int64_t n = rank == 0 ? 0 : 1;
  for (int i = 0; i < rank; ++i) n *= shape[i];
  return n;
}

bool Tensor::is_dense() const {
  int64_t step = 1;
  for (int i = rank - 1; i >= 0; --i) {
    if (shape[i] > 1 && stride[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

std::string Tensor::to_string() const {
  std::string text = std::string(name_of(dtype)) + " [";
  for (int i = 0; i < rank; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Tensor Tensor::slice(int dimension, int64_t begin, int64_t end) const {
  check(0 <= begin && begin <= end && end <= shape[dimension],
        "[tensor] slice [{}, {}) of a dimension of {}", begin, end, shape[dimension]);
  Tensor view = *this;
  view.shape[dimension] = end - begin;
  view.data = static_cast<char*>(data) + begin * stride[dimension] * size_of(dtype);
  return view;
}

Tensor Tensor::split_last(int64_t inner) const {
  check(rank < kMaxRank && inner > 0 && dim(-1) % inner == 0,
        "[tensor] last dimension {} does not split into rows of {}", dim(-1), inner);
  Tensor view = *this;
  view.shape[rank - 1] = shape[rank - 1] / inner;
  view.stride[rank - 1] = inner;
  view.shape[rank] = inner;
  view.stride[rank] = 1;
  ++view.rank;
  return view;
}

Tensor Tensor::reshape(std::initializer_list<int64_t> new_shape) const {
  Tensor view(data, dtype, new_shape);
  check(is_dense() && view.numel() == numel(), "[tensor] {} cannot be viewed as {}", *this, view);
  return view;
}

}  // namespace moge

fmt::format_context::iterator fmt::formatter<moge::Tensor>::format(const moge::Tensor& tensor,
                                                                   format_context& context) const {
  const std::string text = tensor.to_string();
  return std::copy(text.begin(), text.end(), context.out());
}
