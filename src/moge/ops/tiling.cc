#include "moge/ops/tiling.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/ops/gmm_product.h"
#include "moge/runtime/topology.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostFileBytes = 1 << 20;
constexpr size_t kMostEntries = 4096, kMostNameLength = 96;

std::string name_of_product(const Weight& w, int bucket) {
  return fmt::format("{}{} {}x{} rows {}", w.format == WeightFormat::kW4A8 ? "w4a8" : "w8a8",
                     w.paired ? " paired" : "", w.k, w.n, kTileRows[static_cast<size_t>(bucket)]);
}

/// [slice_kb, block_kb] of a candidate, or zeros; nothing else is taken from a file.
const TileSizes* to_sizes(const Json& json) {
  static constexpr TileSizes kBuiltIn{};
  const auto is = [&](const TileSizes& sizes) {
    return json == Json{sizes.slice_kb, sizes.block_kb};
  };
  const auto* found = std::find_if(kTileCandidates.begin(), kTileCandidates.end(), is);
  return found != kTileCandidates.end() ? found : is(kBuiltIn) ? &kBuiltIn : nullptr;
}

/// The file's object of tables; null where there is no such file.
Json read_tables(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return nullptr;
  Json json = Json::parse(read_file(path, kMostFileBytes), nullptr, /*allow_exceptions=*/false);
  check(json.is_object() && json.contains("tables") && json["tables"].is_object(),
        "{}: is not a table of tile sizes", path.string());
  return std::move(json["tables"]);
}

/// One section of the file's tables.
std::map<std::string, TileSizes> read_sizes(const std::filesystem::path& path, const Json& tables,
                                            const std::string& section) {
  std::map<std::string, TileSizes> sizes;
  if (!tables.contains(section)) return sizes;
  const Json& entries = tables[section];
  check(entries.is_object() && entries.size() <= kMostEntries, "{}: '{}' is not a table",
        path.string(), section);
  for (const auto& [name, json] : entries.items()) {
    const TileSizes* found = to_sizes(json);
    check(found && name.size() <= kMostNameLength, "{}: '{}' has no sizes that can be used",
          path.string(), name.substr(0, kMostNameLength));
    sizes.emplace(name, *found);
  }
  return sizes;
}

/// Holds a lock beside the file: of two writers the second sees what the first one wrote.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path)
      : fd_(open((path.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    check(fd_ >= 0 && flock(fd_, LOCK_EX) == 0, "{}: cannot be locked", path.string());
  }
  ~FileLock() { close(fd_); }
  FileLock(const FileLock&) = delete;

 private:
  int fd_;
};

}  // namespace

std::filesystem::path TilingTable::user_path() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache == '/') return std::filesystem::path(cache) / "moge" / "tiling.json";
  const char* home = std::getenv("HOME");
  if (!home || *home != '/') return {};
  return std::filesystem::path(home) / ".cache" / "moge" / "tiling.json";
}

TilingTable::TilingTable(const kernels::Table& table)
    : TilingTable(fmt::format("{}, {} cores", topology().cpu_model, topology().cores), table.isa) {}

const TileSizes* TilingTable::find(const Weight& w, int bucket) const {
  const auto it = sizes_.find(name_of_product(w, bucket));
  return it == sizes_.end() ? nullptr : &it->second;
}

void TilingTable::set(const Weight& w, int bucket, TileSizes sizes) {
  sizes_[name_of_product(w, bucket)] = sizes;
}

std::string TilingTable::read(const std::filesystem::path& path) {
  try {
    sizes_.merge(read_sizes(path, read_tables(path), section_));
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

void TilingTable::write(const std::filesystem::path& path) const {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const FileLock lock(path);
  Json tables = Json::object();
  std::map<std::string, TileSizes> all = sizes_;
  try {
    if (Json found = read_tables(path); found.is_object()) tables = std::move(found);
    all.merge(read_sizes(path, tables, section_));
  } catch (const Error&) {  // what is damaged begins anew
  }
  Json& entries = tables[section_] = Json::object();
  for (const auto& [name, sizes] : all) entries[name] = {sizes.slice_kb, sizes.block_kb};
  const std::string text = Json{{"version", 1}, {"tables", tables}}.dump(1) + "\n";
  check(all.size() <= kMostEntries && static_cast<int64_t>(text.size()) <= kMostFileBytes,
        "{}: {} shapes and {} bytes are too many", path.string(), all.size(), text.size());
  write_file(path, text);
}

void TilingTable::assign(Weight& w) const {
  w.tiles = {};
  for (int bucket = 0; bucket < kTileBuckets; ++bucket)
    if (const TileSizes* sizes = find(w, bucket)) w.tiles[static_cast<size_t>(bucket)] = *sizes;
}

namespace {

// A product to measure is about so large: some experts of a layer, or a part of one.
constexpr int64_t kOperations = int64_t{1} << 30, kWeightBytes = 16 << 20;
constexpr int64_t kLeastPanels = 8;
constexpr int kRounds = 2;
constexpr double kClearly = 0.95;  // of the built-in sizes' time

/// The first experts of a weight, or the first panels of one.
Weight part_of(const Weight& w, int64_t rows) {
  const int64_t panels = (w.n + kernels::kGmmPanel - 1) / kernels::kGmmPanel;
  const int64_t panel_bytes = kernels::gmm_panel_bytes(w.format == WeightFormat::kW4A8, w.k);
  const int64_t fitting = std::max(
      std::min(kWeightBytes / panel_bytes, kOperations / (2 * rows * w.k * kernels::kGmmPanel)),
      kLeastPanels);
  Weight part = w;
  part.experts = std::clamp<int64_t>(fitting / panels, 1, w.experts);
  if (panels > fitting) part.n = fitting * kernels::kGmmPanel;
  return part;
}

/// Products with a part of a weight.
class Trial {
 public:
  Trial(const Context& context, const Weight& whole, int64_t rows)
      : threads_(context.threads), table_(context.kernels), weight_(part_of(whole, rows)) {
    const int64_t total = rows * weight_.experts, n = weight_.n, k = weight_.k;
    for (int64_t e = 0; e <= weight_.experts; ++e)
      offsets_.push_back(static_cast<int32_t>(rows * e));
    scratch_ = Arena(gmm_product_scratch(context, total, weight_.experts, n, k), "tiling scratch");
    rows_ = Arena(QuantizedRows::bytes(total, k), "tiling rows");
    x_ = QuantizedRows::allocate(rows_, total, k);
    std::fill_n(x_.values, total * x_.stride, int8_t{1});
    std::fill_n(x_.scales, total, 1.0f);
    std::fill_n(x_.sums, total * kernels::gmm_groups(k), 1);
    y_ = Buffer(static_cast<size_t>(total * n) * sizeof(float));
  }

  double seconds(TileSizes sizes) {
    weight_.tiles.fill(sizes);
    const Context context{threads_, table_, scratch_};
    const auto start = std::chrono::steady_clock::now();
    run(context, GmmProduct{.weight = weight_,
                            .x = x_,
                            .offsets = offsets_,
                            .y = y_.data(),
                            .y_stride = weight_.n});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  ThreadPool& threads_;
  const kernels::Table& table_;
  Weight weight_;
  std::vector<int32_t> offsets_;
  Arena scratch_{64}, rows_{64};
  QuantizedRows x_;
  Buffer y_;
};

}  // namespace

TileSizes measure_tiles(const Context& context, const Weight& w, int bucket) {
  Trial trial(context, w, kTileRows[static_cast<size_t>(bucket)]);
  trial.seconds({});  // wakes threads, touches memory
  double built_in = trial.seconds({});
  std::array<double, kTileCandidates.size()> best;
  best.fill(1e30);
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < best.size(); ++i)
      best[i] = std::min(best[i], trial.seconds(kTileCandidates[i]));
    built_in = std::min(built_in, trial.seconds({}));
  }
  const auto fastest = std::min_element(best.begin(), best.end());
  if (*fastest < kClearly * built_in)
    return kTileCandidates[static_cast<size_t>(fastest - best.begin())];
  return {};
}

int tune(const Context& context, TilingTable& table, Weight& w, int64_t most_rows, bool again) {
  int measured = 0;
  for (int bucket = 0; w.quantized() && bucket <= tile_bucket(most_rows); ++bucket) {
    if (!again && table.find(w, bucket)) continue;
    table.set(w, bucket, measure_tiles(context, w, bucket));
    ++measured;
  }
  table.assign(w);
  return measured;
}

}  // namespace moge
