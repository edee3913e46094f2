#include "moge/model/iterations.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>
#include <system_error>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge {

namespace fs = std::filesystem;

namespace {

std::optional<int64_t> parse_iteration(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return {};
  return value;
}

int64_t read_tracker(const fs::path& file) {
  std::string text = read_file(file, 64);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  const auto iteration = parse_iteration(text);
  check(iteration.has_value(), "{}: holds '{}', want the number of an iteration", file.string(),
        text);
  return *iteration;
}

}  // namespace

fs::path checkpoint_path(const fs::path& save, int64_t iteration) {
  return save / fmt::format("iter_{:07d}", iteration);
}

std::vector<int64_t> list_checkpoints(const fs::path& save) {
  std::vector<int64_t> iterations;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(save, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("iter_") || !entry.is_directory(error)) continue;
    if (const auto iteration = parse_iteration(std::string_view(name).substr(5)))
      iterations.push_back(*iteration);
  }
  std::sort(iterations.begin(), iterations.end());
  return iterations;
}

std::optional<int64_t> newest_checkpoint(const fs::path& save) {
  if (fs::exists(save / kTrackerFile)) {
    const int64_t iteration = read_tracker(save / kTrackerFile);
    if (fs::is_directory(checkpoint_path(save, iteration))) return iteration;
  }
  const auto all = list_checkpoints(save);
  return all.empty() ? std::nullopt : std::optional(all.back());
}

fs::path model_folder(const fs::path& folder) {
  if (fs::exists(folder / "config.json")) return folder;
  const auto iteration = newest_checkpoint(folder);
  return iteration ? checkpoint_path(folder, *iteration) : folder;
}

}  // namespace moge
