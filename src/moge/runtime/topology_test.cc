#include "moge/runtime/topology.h"

#include <gtest/gtest.h>

namespace moge {
namespace {

TEST(Topology, ParsesSizes) {
  EXPECT_EQ(detail::parse_size("266240K\n"), 272629760);
  EXPECT_EQ(detail::parse_size("2M"), 2 << 20);
  EXPECT_EQ(detail::parse_size("64"), 64);
  EXPECT_EQ(detail::parse_size("max\n"), 0);
  EXPECT_EQ(detail::parse_size(""), 0);
  EXPECT_EQ(detail::parse_size("-1"), 0);
  EXPECT_EQ(detail::parse_size("9223372036854775807G"), 0);
}

TEST(Topology, ReadsMeminfoLines) {
  const std::string text = "MemTotal:       24 kB\nMemFree: 5 kB\nHugePages_Total:   0\n";
  EXPECT_EQ(detail::meminfo_bytes(text, "MemTotal"), 24576);
  EXPECT_EQ(detail::meminfo_bytes(text, "MemFree"), 5120);
  EXPECT_EQ(detail::meminfo_bytes(text, "MemAvailable"), 0);
}

TEST(Topology, ThisMachineHasCoresAndMemory) {
  EXPECT_GE(topology().cores, 1);
  EXPECT_GE(topology().logical_cpus, topology().cores);
  EXPECT_GE(topology().numa_nodes, 1);
  EXPECT_GT(memory_available(), 0);
  EXPECT_GE(topology().memory_bytes, memory_available());
}

}  // namespace
}  // namespace moge
