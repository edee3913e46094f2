#include "moge/model/stored_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "moge/core/error.h"
#include "moge/quant/pack.h"
#include "moge/quant/round.h"

namespace moge {

namespace {
using quant::kGroupSize;

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

void check_type(const StoredTensor& t, DType dtype, const char* scheme) {
  check(t.entry.dtype == dtype, "{}: tensor '{}' is {}, want {} for {}", t.file, t.entry.name,
        name_of(t.entry.dtype), name_of(dtype), scheme);
}

int64_t whole_number(const StoredTensor& t, int64_t i) {
  if (t.entry.dtype == DType::kI32) {
    int32_t value = 0;
    std::memcpy(&value, t.data + 4 * i, sizeof(value));
    return value;
  }
  int64_t value = 0;
  std::memcpy(&value, t.data + 8 * i, sizeof(value));
  return value;
}

/// weight_shape of packed values.
void check_stored_shape(const StoredTensor& t, const std::vector<int64_t>& shape) {
  check((t.entry.dtype == DType::kI64 || t.entry.dtype == DType::kI32) &&
            t.entry.shape == std::vector<int64_t>{2},
        "{}: tensor '{}' is {}, want int64 [2]", t.file, t.entry.name, t.entry.to_string());
  const std::vector<int64_t> held = {whole_number(t, 0), whole_number(t, 1)};
  check(held == shape, "{}: '{}' says {}, config.json wants {}", t.file, t.entry.name,
        shape_text(held), shape_text(shape));
}

/// "a.b.weight" -> "a.b."
std::string module_of(const std::string& name) {
  return name.substr(0, name.size() - std::string_view("weight").size());
}
}  // namespace

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

void check_shape(const StoredTensor& t, const std::vector<int64_t>& shape) {
  check(t.entry.shape == shape, "{}: tensor '{}' is {}, config.json wants {}", t.file, t.entry.name,
        t.entry.to_string(), shape_text(shape));
}

void check_floats(const StoredTensor& t, const std::vector<int64_t>& shape) {
  check(is_float(t.entry.dtype), "{}: tensor '{}' is {}, want float32, bfloat16 or float16", t.file,
        t.entry.name, name_of(t.entry.dtype));
  check_shape(t, shape);
}

StoredMatrix::StoredMatrix(const QuantizationConfig& quantization, const std::string& name,
                           int64_t n, int64_t k, const FindTensor& find)
    : scheme_(quantization.scheme), n_(n), k_(k) {
  if (scheme_ == QuantScheme::kW8A8)
    open_w8(module_of(name), find);
  else
    open_w4(module_of(name), quantization.groups, find);
}

void StoredMatrix::open_w8(const std::string& module, const FindTensor& find) {
  values_ = &find(module + "weight");
  check_type(*values_, DType::kI8, "w8a8");
  check_shape(*values_, {n_, k_});
  scales_ = &find(module + "weight_scale");
  const bool flat = scales_->entry.shape.size() == 1;
  check_floats(*scales_, flat ? std::vector<int64_t>{n_} : std::vector<int64_t>{n_, 1});
}

/// Our groups are 128 wide. Smaller ones are taken where those of one 128 share a scale, which is
/// how moge quantize writes a width that 128 does not divide.
void StoredMatrix::open_w4(const std::string& module, std::span<const QuantGroup> groups,
                           const FindTensor& find) {
  values_ = &find(module + "weight_packed");
  check_type(*values_, DType::kI32, "w4a8");
  check_shape(*values_, {n_, quant::packed_words(k_)});
  check_stored_shape(find(module + "weight_shape"), {n_, k_});
  scales_ = &find(module + "weight_scale");
  stored_groups_ = scales_->entry.shape.size() == 2 ? scales_->entry.shape[1] : 0;
  check_floats(*scales_, {n_, stored_groups_});
  int64_t size = 0;
  for (const QuantGroup& group : groups)
    if (group.group_size * stored_groups_ == k_) size = group.group_size;
  check(size > 0, "{}: tensor '{}' is {}, which is no group_size of config.json for {} columns",
        scales_->file, scales_->entry.name, scales_->entry.to_string(), k_);
  const bool one_group = stored_groups_ == 1 && k_ <= kGroupSize;
  check(one_group || kGroupSize % size == 0,
        "{}: '{}' has groups of {} columns, which is not implemented (known: 128)", scales_->file,
        scales_->entry.name, size);
  joined_ = one_group ? 1 : kGroupSize / size;
}

int64_t StoredMatrix::row_bytes() const {
  return scheme_ == QuantScheme::kW8A8 ? k_ : 4 * quant::packed_words(k_);
}

void StoredMatrix::read_scales(int64_t row, std::vector<float>& stored, float* scales) const {
  stored.resize(static_cast<size_t>(stored_groups_));
  read_elements(*scales_, row * stored_groups_, (row + 1) * stored_groups_, stored.data());
  for (int64_t s = 0; s < stored_groups_; ++s) {
    const float scale = stored[static_cast<size_t>(s)];
    check(std::isfinite(scale) && scale >= 0.0f, "{}: '{}' has the scale {} in row {}",
          scales_->file, scales_->entry.name, scale, row);
    if (s % joined_ == 0) scales[s / joined_] = scale;
    check(scales[s / joined_] == scale,
          "{}: '{}' has groups of {} columns with scales of their own, which is not implemented "
          "(known: 128)",
          scales_->file, scales_->entry.name, kGroupSize / joined_);
  }
}

void StoredMatrix::read_w8(int64_t begin, int64_t end, int8_t* values, float* scales) const {
  std::memcpy(values, row(begin), static_cast<size_t>((end - begin) * k_));
  std::vector<float> stored;
  for (int64_t r = begin; r < end; ++r) read_scales(r, stored, scales++);
}

void StoredMatrix::read_w4(int64_t begin, int64_t end, uint32_t* words, BFloat16* scales) const {
  std::memcpy(words, row(begin), static_cast<size_t>((end - begin) * row_bytes()));
  const auto G = static_cast<size_t>(quant::num_groups(k_));
  std::vector<float> stored, ours(G);
  for (int64_t r = begin; r < end; ++r) {
    read_scales(r, stored, ours.data());
    for (float scale : ours) *scales++ = BFloat16(scale);
  }
}

void StoredMatrix::expand(int64_t begin, int64_t end, float* out) const {
  const int64_t G = scheme_ == QuantScheme::kW8A8 ? 1 : quant::num_groups(k_);
  std::vector<float> stored, scales(static_cast<size_t>(G)), whole(static_cast<size_t>(k_));
  std::vector<int8_t> values(static_cast<size_t>(k_));
  std::vector<BFloat16> rounded(static_cast<size_t>(G));
  for (int64_t r = begin / k_; r * k_ < end; ++r) {
    read_scales(r, stored, scales.data());
    if (scheme_ == QuantScheme::kW8A8) {
      std::memcpy(values.data(), row(r), values.size());
      quant::expand_row_w8(values.data(), k_, scales[0], whole.data());
    } else {
      for (size_t g = 0; g < rounded.size(); ++g) rounded[g] = BFloat16(scales[g]);
      quant::unpack_row_w4(row(r), k_, values.data());
      quant::expand_row_w4(values.data(), k_, rounded.data(), whole.data());
    }
    const int64_t from = std::max(begin, r * k_), until = std::min(end, (r + 1) * k_);
    std::copy(whole.begin() + (from - r * k_), whole.begin() + (until - r * k_),
              out + (from - begin));
  }
}

void StoredMatrix::give_back_rows(int64_t begin, int64_t end) const {
  give_back_pages(row(begin), (end - begin) * row_bytes());
  const int64_t each = stored_groups_ * size_of(scales_->entry.dtype);
  give_back_pages(scales_->data + begin * each, (end - begin) * each);
}

}  // namespace moge
