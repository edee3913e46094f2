#include "moge/model/test_golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge::testing {

std::vector<std::filesystem::path> golden_folders(const std::string& file) {
  std::vector<std::filesystem::path> folders;
  for (const auto& root : {own_goldens(), shared_goldens()}) {
    if (!std::filesystem::is_directory(root)) continue;
    const size_t first = folders.size();
    for (const auto& entry : std::filesystem::directory_iterator(root))
      if (std::filesystem::exists(entry.path() / "model.safetensors") &&
          std::filesystem::exists(entry.path() / file))
        folders.push_back(entry.path());
    std::sort(folders.begin() + static_cast<std::ptrdiff_t>(first), folders.end());
  }
  return folders;
}

std::string case_name(const std::filesystem::path& folder) {
  return (folder.parent_path() == own_goldens() ? "own_" : "shared_") + folder.filename().string();
}

std::vector<const kernels::Table*> tables_under_test() {
  const auto& all = kernels::available_tables();
  if (all.size() == 1) return {all.front()};
  return {all.front(), all.back()};
}

GoldenModel::GoldenModel(const std::filesystem::path& folder)
    : source(find_model(folder.string())),
      memory(static_cast<size_t>(flat_size(list_params(source.config))) * sizeof(float)),
      params(view_params(source.config, memory.as<float>())) {
  ThreadPool threads(1);
  load_params(threads, source, 0, params);
}

nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path));
}

std::vector<float> floats_of(const Checkpoint& file, const std::string& name) {
  const StoredTensor* stored = file.find(name);
  check(stored != nullptr, "{} has no '{}'", file.where(), name);
  std::vector<float> values(static_cast<size_t>(stored->entry.numel()));
  read_elements(*stored, 0, stored->entry.numel(), values.data());
  return values;
}

Difference difference(const std::vector<float>& got, const std::vector<float>& want) {
  check(got.size() == want.size(), "{} values, want {}", got.size(), want.size());
  Difference d;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - want[i]);
    d.worst = std::isnan(error) ? INFINITY : std::max(d.worst, error);
    d.largest = std::max(d.largest, std::abs(static_cast<double>(want[i])));
    d.square += error * error;
    d.square_of += static_cast<double>(want[i]) * want[i];
  }
  return d;
}

}  // namespace moge::testing
