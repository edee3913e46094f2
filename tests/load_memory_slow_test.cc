// Loading needs little more memory than the model takes when it is there: the peak of resident
// memory stays below 1.05 times the packed weights plus 64 MiB, in every format, rounding or not.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "process.h"

namespace {

namespace fs = std::filesystem;

ProcessResult moge(std::vector<std::string> words) {
  words.insert(words.begin(), MOGE_PROGRAM);
  return run_process({.args = words, .timeout_seconds = 120});
}

TEST(LoadMemory, StaysWithinAFewRowsOfThePackedWeights) {
  const fs::path base = fs::temp_directory_path() / ("moge_memory_" + std::to_string(getpid()));
  const std::string whole = (base / "whole").string(), eighth = (base / "w8a8").string();
  ASSERT_EQ(moge({"init", "preset:small", "--out", whole}).status, 0);
  ASSERT_EQ(moge({"quantize", whole, "--format", "w8a8", "--out", eighth}).status, 0);
  for (const auto& [folder, format] : std::vector<std::pair<std::string, std::string>>{
           {whole, "bf16"}, {whole, "w8a8"}, {whole, "w4a8"}, {eighth, "auto"}}) {
    const ProcessResult run =
        moge({"bench", "model", folder, "--format", format, "--pp", "0", "--tg", "0", "--batches",
              "0", "--reps", "1", "--output", "json", "--quiet"});
    ASSERT_EQ(run.status, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out);
    const auto packed = json["weight_bytes"].get<double>();
    const auto peak = json["load_peak_bytes"].get<double>();
    EXPECT_GE(peak, packed);
    EXPECT_LE(peak, 1.05 * packed + (64 << 20)) << folder << " as " << format;
  }
  fs::remove_all(base);
}

}  // namespace
