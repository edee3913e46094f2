// What the machine is: processors, caches, memory (Linux's /proc and /sys, cgroup limits).
#pragma once

#include <cstdint>
#include <string>

namespace moge {

struct Topology {
  std::string cpu_model;  ///< "AMD EPYC 9R14"; "unknown" where /proc does not tell
  int logical_cpus = 1;   ///< hardware threads of the machine
  int cores = 1;          ///< of them, cores that this process may use
  int numa_nodes = 1;
  int64_t second_level_cache_bytes = 0;  ///< of the first CPU; 0 = unknown
  int64_t last_level_cache_bytes = 0;    ///< likewise
  int64_t memory_bytes = 0;              ///< of the machine, or the cgroup's limit if smaller
};

/// Read once.
const Topology& topology();

/// Bytes that can be taken without swapping, right now; the cgroup's limit respected.
int64_t memory_available();

namespace detail {
/// The value in bytes of one line of /proc/meminfo ("MemTotal:  24 kB"), or 0.
int64_t meminfo_bytes(const std::string& meminfo, const std::string& key);
/// "266240K", "2M", "64" -> bytes; 0 if it is none of these.
int64_t parse_size(const std::string& text);
}  // namespace detail

}  // namespace moge
