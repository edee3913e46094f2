#include "moge/model/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"

namespace moge {

namespace {
using nlohmann::json;

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation
constexpr size_t kMaxRank = 8;

struct DTypeName {
  const char* name;
  DType dtype;
};
constexpr DTypeName kDTypes[] = {{"F32", DType::kF32}, {"BF16", DType::kBF16}, {"F16", DType::kF16},
                                 {"F64", DType::kF64}, {"I8", DType::kI8},     {"U8", DType::kU8},
                                 {"I16", DType::kI16}, {"U16", DType::kU16},   {"I32", DType::kI32},
                                 {"I64", DType::kI64}};

int64_t as_count(const json& value, const std::string& what) {
  check(value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{INT64_MAX},
        "{} is {}, must be a whole number from 0 on", what,
        value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 60));
  return value.get<int64_t>();
}

DType dtype_named(const json& value, const std::string& what) {
  check(value.is_string(), "{}: dtype must be a string", what);
  for (const DTypeName& known : kDTypes)
    if (value == known.name) return known.dtype;
  fail("{}: dtype '{}' is not one that moge reads", what, value.get<std::string>().substr(0, 20));
}

/// numel * bytes per element, or an error where that leaves int64.
int64_t byte_size(const SafetensorsEntry& entry, const std::string& what) {
  int64_t bytes = size_of(entry.dtype);
  for (int64_t d : entry.shape)
    check(!__builtin_mul_overflow(bytes, d, &bytes), "{}: the shape {} is too large", what,
          entry.to_string());
  return bytes;
}

SafetensorsEntry parse_entry(const std::string& name, const json& value, int64_t data_bytes,
                             const std::string& where) {
  const std::string what = where + ": tensor '" + name.substr(0, 200) + "'";
  check(value.is_object() && value.contains("dtype") && value.contains("shape") &&
            value.contains("data_offsets"),
        "{}: must have dtype, shape and data_offsets", what);
  SafetensorsEntry entry;
  entry.name = name;
  entry.dtype = dtype_named(value["dtype"], what);
  const json& shape = value["shape"];
  check(shape.is_array() && shape.size() <= kMaxRank, "{}: shape must be a list of at most {}",
        what, kMaxRank);
  for (const json& d : shape) entry.shape.push_back(as_count(d, what + ": shape"));
  const json& offsets = value["data_offsets"];
  check(offsets.is_array() && offsets.size() == 2, "{}: data_offsets must be two numbers", what);
  entry.begin = as_count(offsets[0], what + ": data_offsets");
  entry.end = as_count(offsets[1], what + ": data_offsets");
  check(entry.begin <= entry.end && entry.end <= data_bytes,
        "{}: data_offsets [{}, {}] lie outside the file's {} bytes of data", what, entry.begin,
        entry.end, data_bytes);
  const int64_t want = byte_size(entry, what);
  check(entry.end - entry.begin == want, "{}: data_offsets [{}, {}] hold {} bytes, {} needs {}",
        what, entry.begin, entry.end, entry.end - entry.begin, entry.to_string(), want);
  return entry;
}

void check_cover(const std::vector<SafetensorsEntry>& entries, int64_t data_bytes,
                 const std::string& where) {
  int64_t next = 0;
  const SafetensorsEntry* last = nullptr;
  for (const SafetensorsEntry& entry : entries) {
    check(entry.begin >= next, "{}: tensors '{}' and '{}' overlap: bytes [{}, {}] and [{}, {}]",
          where, last ? last->name : "", entry.name, last ? last->begin : 0, next, entry.begin,
          entry.end);
    check(entry.begin == next, "{}: bytes [{}, {}] of the data belong to no tensor", where, next,
          entry.begin);
    next = entry.end;
    last = &entry;
  }
  check(next == data_bytes, "{}: bytes [{}, {}] of the data belong to no tensor", where, next,
        data_bytes);
}
}  // namespace

int64_t SafetensorsEntry::numel() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

std::string SafetensorsEntry::to_string() const {
  std::string text = std::string(name_of(dtype)) + " [";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

SafetensorsHeader parse_safetensors(std::span<const char> bytes, int64_t file_bytes,
                                    const std::string& where) {
  check(file_bytes >= kLengthBytes && bytes.size() >= size_t{kLengthBytes},
        "{}: {} bytes are too few for a safetensors file", where, file_bytes);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  check(length <= static_cast<uint64_t>(file_bytes - kLengthBytes),
        "{}: the header says it has {} bytes, the file has {}", where, length, file_bytes);
  check(length <= kMaxHeaderBytes && length <= bytes.size() - kLengthBytes,
        "{}: a header of {} bytes is longer than the {} allowed", where, length, kMaxHeaderBytes);
  const char* text = bytes.data() + kLengthBytes;
  const json header = json::parse(text, text + length, nullptr, /*allow_exceptions=*/false);
  check(header.is_object(), "{}: the header is not a JSON object", where);
  SafetensorsHeader result;
  result.data_offset = kLengthBytes + static_cast<int64_t>(length);
  const int64_t data_bytes = file_bytes - result.data_offset;
  for (const auto& [name, value] : header.items())
    if (name != "__metadata__")
      result.entries.push_back(parse_entry(name, value, data_bytes, where));
  std::stable_sort(result.entries.begin(), result.entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_cover(result.entries, data_bytes, where);
  return result;
}

namespace {
template <class Out>
Out converted(float value) {
  return static_cast<Out>(value);
}

template <class In, class Out>
void convert(const char* data, int64_t begin, int64_t end, Out* out) {
  for (int64_t i = begin; i < end; ++i) {
    In value;
    std::memcpy(&value, data + i * static_cast<int64_t>(sizeof(In)), sizeof(In));
    out[i - begin] = converted<Out>(static_cast<float>(value));
  }
}

template <class Out>
void read_as(const StoredTensor& t, int64_t begin, int64_t end, Out* out) {
  if (t.entry.dtype == DTypeOf<Out>::value) {
    std::memcpy(out, t.data + begin * static_cast<int64_t>(sizeof(Out)),
                static_cast<size_t>(end - begin) * sizeof(Out));
    return;
  }
  switch (t.entry.dtype) {
    case DType::kF32:
      return convert<float>(t.data, begin, end, out);
    case DType::kBF16:
      return convert<BFloat16>(t.data, begin, end, out);
    case DType::kF16:
      return convert<Float16>(t.data, begin, end, out);
    default:
      fail("{}: tensor '{}' is {}, want float32, bfloat16 or float16", t.file, t.entry.name,
           t.entry.to_string());
  }
}
}  // namespace

void read_elements(const StoredTensor& tensor, int64_t begin, int64_t end, float* out) {
  read_as(tensor, begin, end, out);
}
void read_elements(const StoredTensor& tensor, int64_t begin, int64_t end, BFloat16* out) {
  read_as(tensor, begin, end, out);
}

}  // namespace moge
