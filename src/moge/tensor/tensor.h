// Tensor = {pointer, dtype, shape, strides}: a view, passed by value; Storage owns. No maths here.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "moge/core/error.h"
#include "moge/core/scalar.h"

namespace moge {

enum class DType : uint8_t { kF32, kBF16, kF16, kF64, kI8, kU8, kI16, kU16, kI32, kI64 };

int64_t size_of(DType dtype);      ///< bytes of one element
const char* name_of(DType dtype);  ///< "float32", "bfloat16", ... (Hugging Face's names)

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kI8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kI64;
};

/// A strided view of up to four dimensions; the last dimension is always contiguous.
/// An empty view (data == nullptr, rank 0) means "absent".
struct Tensor {
  static constexpr int kMaxRank = 4;

  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  std::array<int64_t, kMaxRank> shape{};
  std::array<int64_t, kMaxRank> stride{};  ///< in elements

  Tensor() = default;
  /// A dense row-major view.
  Tensor(void* data, DType dtype, std::initializer_list<int64_t> shape);
  template <class T>
  static Tensor of(T* data, std::initializer_list<int64_t> shape) {
    return Tensor(const_cast<std::remove_const_t<T>*>(data), DTypeOf<std::remove_const_t<T>>::value,
                  shape);
  }

  explicit operator bool() const { return data != nullptr; }
  int64_t numel() const;
  int64_t bytes() const { return numel() * size_of(dtype); }
  bool is_dense() const;  ///< rows follow each other without gaps
  int64_t dim(int i) const { return shape[i < 0 ? rank + i : i]; }
  int64_t row_stride() const { return stride[rank >= 2 ? rank - 2 : 0]; }  ///< of a 2-D view
  std::string to_string() const;                                           ///< "float32 [4, 192]"

  /// Typed pointer; throws if the dtype differs.
  template <class T>
  T* as() const {
    check(dtype == DTypeOf<T>::value, "[tensor] dtype is {}, want {}", name_of(dtype),
          name_of(DTypeOf<T>::value));
    return static_cast<T*>(data);
  }

  Tensor slice(int dimension, int64_t begin, int64_t end) const;  ///< [begin, end) of one dimension
  Tensor rows(int64_t begin, int64_t end) const { return slice(0, begin, end); }
  Tensor cols(int64_t begin, int64_t end) const { return slice(rank - 1, begin, end); }
  /// Splits the last dimension: [T, H*C] -> [T, H, C] (keeps strides).
  Tensor split_last(int64_t inner) const;
  /// Another shape of the same elements; needs is_dense().
  Tensor reshape(std::initializer_list<int64_t> shape) const;
};

}  // namespace moge

/// "{}" prints to_string(), when a message is needed: a check that holds builds no text.
template <>
struct fmt::formatter<moge::Tensor> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  format_context::iterator format(const moge::Tensor& tensor, format_context& context) const;
};
