#include "moge/runtime/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "moge/core/error.h"

namespace moge {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceOnAWorkerOfItsOwn) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      pool.parallel_for(tasks, [&](int64_t task, int worker) {
        ++runs[static_cast<size_t>(task)];
        EXPECT_TRUE(worker >= 0 && worker < threads);
      });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
  }
}

// Jobs follow each other faster than workers wake up; a late one must not disturb the next job.
TEST(ThreadPool, ManyShortJobsKeepTheirTasksApart) {
  ThreadPool pool(6);
  int64_t sum = 0;
  for (int job = 0; job < 20000; ++job) {
    const int64_t tasks = 2 + job % 5;
    std::atomic<int64_t> here{0};
    pool.parallel_for(tasks, [&](int64_t task, int) { here += task + 1; });
    ASSERT_EQ(here.load(), tasks * (tasks + 1) / 2) << "job " << job;
    sum += here.load();
  }
  EXPECT_GT(sum, 0);
}

TEST(ThreadPool, AnErrorOfATaskReachesTheCallerAndThePoolLivesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    EXPECT_THROW(pool.parallel_for(100,
                                   [](int64_t task, int) {
                                     if (task == 50) throw std::runtime_error("task 50");
                                   }),
                 std::runtime_error);
    std::atomic<int> runs{0};
    pool.parallel_for(10, [&](int64_t, int) { ++runs; });
    EXPECT_EQ(runs.load(), 10);
  }
  EXPECT_THROW(ThreadPool(0), Error);
}

TEST(ThreadPool, KnowsTheCoresItMayUse) { EXPECT_GE(available_cores(), 1); }

}  // namespace
}  // namespace moge
