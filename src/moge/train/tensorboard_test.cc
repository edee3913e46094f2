#include "moge/train/tensorboard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge::train {
namespace {

TEST(TensorBoard, CrcIsCastagnolis) {
  EXPECT_EQ(crc32c(std::string_view("123456789")), 0xe3069283u);  // the standard's check value
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);          // RFC 3720 B.4
  EXPECT_EQ(crc32c(std::string_view("")), 0u);
}

/// The records of an event file; every frame's checksums are compared.
std::vector<std::string> records(const std::string& file) {
  std::vector<std::string> all;
  for (size_t at = 0; at < file.size();) {
    uint64_t length = 0;
    uint32_t length_crc = 0, data_crc = 0;
    std::memcpy(&length, file.data() + at, 8);
    std::memcpy(&length_crc, file.data() + at + 8, 4);
    EXPECT_EQ(length_crc, masked_crc32c(std::string_view(file).substr(at, 8)));
    all.push_back(file.substr(at + 12, length));
    std::memcpy(&data_crc, file.data() + at + 12 + length, 4);
    EXPECT_EQ(data_crc, masked_crc32c(all.back()));
    at += 16 + length;
  }
  return all;
}

TEST(TensorBoard, ScalarsAreFramedEvents) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("moge_tensorboard_" + std::to_string(getpid()));
  std::filesystem::path path;
  {
    TensorBoardWriter writer(folder);
    writer.add_scalar("lm loss", 2.5f, 300);
    path = writer.path();
  }
  const auto all = records(read_file(path));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_NE(all[0].find("brain.Event:2"), std::string::npos);
  // wall_time (9 bytes); step 300; summary of 16 bytes { value of 14 { tag, simple_value 2.5 } }.
  const std::string want = std::string("\x10\xac\x02") + "\x2a\x10" + "\x0a\x0e" + "\x0a\x07" +
                           "lm loss" + "\x15" + std::string("\x00\x00\x20\x40", 4);
  EXPECT_EQ(all[1].substr(9), want);
  std::filesystem::remove_all(folder);
}

TEST(TensorBoard, AFolderThatCannotBeMadeIsRefused) {
  EXPECT_THROW(TensorBoardWriter("/dev/null/events"), Error);
}

}  // namespace
}  // namespace moge::train
