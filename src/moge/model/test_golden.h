// Golden folders of a reference implementation: tests/goldens of this repository, and
// ../shared/goldens where it is present.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "moge/core/test_paths.h"
#include "moge/model/load.h"
#include "moge/model/params.h"
#include "moge/model/record.h"
#include "moge/model/safetensors.h"

namespace moge::testing {

/// Folders of both that hold `file`, own ones first.
std::vector<std::filesystem::path> golden_folders(const std::string& file);
/// "own_pangu" or "shared_pangu_pro_moe_a": a name for gtest.
std::string case_name(const std::filesystem::path& folder);

/// The best table of this machine and the scalar one.
std::vector<const kernels::Table*> tables_under_test();

/// A golden's model as fp32 parameters.
struct GoldenModel {
  explicit GoldenModel(const std::filesystem::path& folder);
  ModelSource source;
  Buffer memory;
  Params params;
  const ModelConfig& config() const { return source.config; }
};

nlohmann::json read_json(const std::filesystem::path& path);
std::vector<float> floats_of(const Checkpoint& file, const std::string& name);

/// Largest |a - b| and the largest |b|.
struct Difference {
  double worst = 0, largest = 0, square = 0, square_of = 0;
  double relative() const { return worst / (largest > 0 ? largest : 1); }
};
Difference difference(const std::vector<float>& got, const std::vector<float>& want);

}  // namespace moge::testing
