#include "moge/runtime/topology.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "moge/runtime/thread_pool.h"

namespace moge {

namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string cpu_model() {
  std::istringstream lines(read_text("/proc/cpuinfo"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("model name"))
      if (const size_t colon = line.find(": "); colon != line.npos) return line.substr(colon + 2);
  return "unknown";
}

int count_numa_nodes() {
  std::error_code error;
  int nodes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/node", error)) {
    const std::string name = entry.path().filename();
    nodes += name.starts_with("node") && name.find_first_not_of("0123456789", 4) == name.npos;
  }
  return std::max(nodes, 1);
}

/// The largest of its level; level 0: of any.
int64_t cache_bytes(int level) {
  int64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    const std::string cache = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    if (level == 0 || detail::parse_size(read_text(cache + "/level")) == level)
      largest = std::max(largest, detail::parse_size(read_text(cache + "/size")));
  }
  return largest;
}

/// A cgroup v2 limit or usage; 0 where there is none ("max").
int64_t cgroup_bytes(const char* name) {
  return detail::parse_size(read_text(std::string("/sys/fs/cgroup/") + name));
}

}  // namespace

int64_t detail::meminfo_bytes(const std::string& meminfo, const std::string& key) {
  std::istringstream lines(meminfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kib = 0;
    if (words >> name >> kib && name == key + ":") return kib * 1024;
  }
  return 0;
}

int64_t detail::parse_size(const std::string& text) {
  std::istringstream words(text);
  int64_t value = 0;
  char unit = 0;
  if (!(words >> value) || value < 0) return 0;
  words >> unit;
  const int shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
  return value > (INT64_MAX >> shift) ? 0 : value << shift;
}

const Topology& topology() {
  static const Topology kTopology = [] {
    Topology t;
    t.cpu_model = cpu_model();
    t.logical_cpus = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    t.cores = available_cores();
    t.numa_nodes = count_numa_nodes();
    t.second_level_cache_bytes = cache_bytes(2);
    t.last_level_cache_bytes = cache_bytes(0);
    t.memory_bytes = detail::meminfo_bytes(read_text("/proc/meminfo"), "MemTotal");
    if (const int64_t limit = cgroup_bytes("memory.max"); limit > 0)
      t.memory_bytes = std::min(t.memory_bytes, limit);
    return t;
  }();
  return kTopology;
}

int64_t memory_available() {
  int64_t bytes = detail::meminfo_bytes(read_text("/proc/meminfo"), "MemAvailable");
  if (const int64_t limit = cgroup_bytes("memory.max"); limit > 0)
    bytes = std::min(bytes, std::max<int64_t>(0, limit - cgroup_bytes("memory.current")));
  return bytes;
}

}  // namespace moge
