#include "moge/runtime/profiler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace moge {
namespace {

void work() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

TEST(Profiler, OwnTimeLeavesOutNestedOps) {
  Profiler profiler;
  {
    const ProfileScope scope(&profiler);
    const OpTimer outer("linear", 64, 2048, 1024);
    work();
    {
      const OpTimer inner("quantize");
      work();
    }
  }
  ASSERT_EQ(profiler.events().size(), 2u);
  const Profiler::Event& outer = profiler.events()[0];
  EXPECT_EQ(outer.label(), "linear 64x2048x1024");
  EXPECT_EQ(profiler.events()[1].depth, 1);
  EXPECT_GE(outer.end_ns - outer.begin_ns - outer.inner_ns, 2'000'000);
  EXPECT_EQ(outer.inner_ns, profiler.events()[1].end_ns - profiler.events()[1].begin_ns);
  const double total_s = static_cast<double>(outer.end_ns - outer.begin_ns) * 2e-9;
  const auto rows = profiler.table(total_s);
  ASSERT_EQ(rows.size(), 3u);
  double percent = 0;
  for (const auto& row : rows) percent += row.percent;
  EXPECT_NEAR(percent, 100.0, 1e-6);
  EXPECT_EQ(rows[0].label, "between ops");
  const std::string trace = profiler.chrome_trace();
  EXPECT_NE(trace.find("\"name\":\"quantize\",\"ph\":\"X\""), std::string::npos) << trace;
  EXPECT_EQ(std::count(trace.begin(), trace.end(), '{'), 3);
}

TEST(Profiler, AFullOneCountsWhatItDrops) {
  Profiler profiler(1);
  const ProfileScope scope(&profiler);
  for (int i = 0; i < 3; ++i) const OpTimer timer("op");
  EXPECT_EQ(profiler.events().size(), 1u);
  EXPECT_EQ(profiler.dropped(), 2);
  profiler.clear();
  EXPECT_EQ(profiler.dropped(), 0);
  const ProfileScope off(nullptr);
  const OpTimer nothing("off");
  EXPECT_TRUE(profiler.events().empty());
}

}  // namespace
}  // namespace moge
