// An event file is a list of TFRecords: u64 length, masked CRC of it, bytes, masked CRC of them.
// The bytes are a protobuf Event {1: wall_time double, 2: step int64, 3: file_version string, 5:
// summary {1: value {1: tag string, 2: simple_value float}}}, written here by hand.
#include "moge/train/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#include "moge/core/error.h"

namespace moge::train {

namespace {

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    table[i] = crc;
  }
  return table;
}();

template <class T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little);
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

enum WireType { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };
std::string key(int field, WireType type) {
  return varint(static_cast<uint64_t>(field << 3 | type));
}
std::string nested(int field, std::string_view bytes) {
  return key(field, kLengthDelimited) + varint(bytes.size()) + std::string(bytes);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string event(std::string_view rest) {
  return key(1, kFixed64) + little_endian(wall_time()) + std::string(rest);
}

}  // namespace

uint32_t crc32c(std::span<const char> bytes) {
  uint32_t crc = ~0u;
  for (char c : bytes) crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

uint32_t masked_crc32c(std::span<const char> bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "{}: cannot be created: {}", folder.string(), error.message());
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  path_ = folder / fmt::format("events.out.tfevents.{:.0f}.{}.{}", wall_time(), host, getpid());
  file_ = std::fopen(path_.c_str(), "ab");
  check(file_ != nullptr, "{}: cannot be opened: {}", path_.string(), std::strerror(errno));
  write_record(event(nested(3, "brain.Event:2")));
}

TensorBoardWriter::~TensorBoardWriter() {
  if (file_) std::fclose(file_);
}

void TensorBoardWriter::add_scalar(std::string_view tag, float value, int64_t step) {
  const std::string scalar = nested(1, tag) + key(2, kFixed32) + little_endian(value);
  write_record(
      event(key(2, kVarint) + varint(static_cast<uint64_t>(step)) + nested(5, nested(1, scalar))));
}

void TensorBoardWriter::flush() {
  check(std::fflush(file_) == 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

void TensorBoardWriter::write_record(std::string_view record) {
  const std::string length = little_endian(uint64_t{record.size()});
  const std::string frame = length + little_endian(masked_crc32c(length)) + std::string(record) +
                            little_endian(masked_crc32c(record));
  check(std::fwrite(frame.data(), 1, frame.size(), file_) == frame.size(),
        "{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

}  // namespace moge::train
