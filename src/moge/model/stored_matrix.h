// A matrix of a checkpoint that compressed-tensors has quantized, read row by row where it lies.
// N rows (output channels), K columns, G groups of 128 columns.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "moge/config/quantization.h"
#include "moge/model/safetensors.h"

namespace moge {

/// The tensor of a name, which must be there.
using FindTensor = std::function<const StoredTensor&(const std::string& name)>;

class StoredMatrix {
 public:
  /// `name` ends with ".weight". Throws Error naming the tensor that is missing or not as
  /// `quantization` says.
  StoredMatrix(const QuantizationConfig& quantization, const std::string& name, int64_t n,
               int64_t k, const FindTensor& find);

  QuantScheme scheme() const { return scheme_; }
  /// Rows [begin, end), as they are stored; throws Error on a scale that makes no sense.
  void read_w8(int64_t begin, int64_t end, int8_t* values_NK, float* scales_N) const;
  void read_w4(int64_t begin, int64_t end, uint32_t* words_NK8, BFloat16* scales_NG) const;
  /// Elements [begin, end), multiplied out.
  void expand(int64_t begin, int64_t end, float* out) const;
  void give_back_rows(int64_t begin, int64_t end) const;

 private:
  void open_w8(const std::string& module, const FindTensor& find);
  void open_w4(const std::string& module, std::span<const QuantGroup> groups,
               const FindTensor& find);
  int64_t row_bytes() const;
  const char* row(int64_t r) const { return values_->data + r * row_bytes(); }
  /// The scales of a row as we use them: one, or one for each 128 columns.
  void read_scales(int64_t row, std::vector<float>& stored, float* scales_G) const;

  QuantScheme scheme_;
  int64_t n_, k_;
  const StoredTensor* values_ = nullptr;
  const StoredTensor* scales_ = nullptr;
  int64_t stored_groups_ = 1;  ///< scales of a row in the file ...
  int64_t joined_ = 1;         ///< ... of which so many make one of ours
};

/// "float32, bfloat16 or float16" and of that shape, else Error.
void check_floats(const StoredTensor& tensor, const std::vector<int64_t>& shape);
void check_shape(const StoredTensor& tensor, const std::vector<int64_t>& shape);
bool is_float(DType dtype);

}  // namespace moge
