// TensorBoard event files: scalars that `tensorboard --logdir` shows.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace moge::train {

class TensorBoardWriter {
 public:
  /// Makes `folder` and a new file events.out.tfevents.* in it.
  explicit TensorBoardWriter(const std::filesystem::path& folder);
  ~TensorBoardWriter();
  TensorBoardWriter(const TensorBoardWriter&) = delete;
  TensorBoardWriter& operator=(const TensorBoardWriter&) = delete;

  void add_scalar(std::string_view tag, float value, int64_t step);
  void flush();
  const std::filesystem::path& path() const { return path_; }

 private:
  void write_record(std::string_view record);
  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

/// CRC-32C (Castagnoli), as TFRecord frames use it before masking.
uint32_t crc32c(std::span<const char> bytes);
/// TFRecord's mask of a CRC.
uint32_t masked_crc32c(std::span<const char> bytes);

}  // namespace moge::train
