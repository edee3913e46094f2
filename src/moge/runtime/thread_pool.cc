#include "moge/runtime/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "moge/core/error.h"

namespace moge {

namespace {
constexpr int kSpins = 20000;  // about 0.5 ms: longer than the gap between two ops of a step
}

struct ThreadPool::State {
  explicit State(int threads) : num_threads(threads) {
    for (int worker = 1; worker < threads; ++worker)
      workers.emplace_back([this, worker] { serve(worker); });
  }
  ~State() {
    {
      std::lock_guard lock(mutex);
      stop.store(true, std::memory_order_relaxed);
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
    for (auto& worker : workers) worker.join();
  }

  void serve(int worker) {
    uint64_t seen = 0;
    while (true) {
      wait_for_work(seen);
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_relaxed)) return;
      run_tasks(worker);
      running.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  void wait_for_work(uint64_t seen) {
    for (int i = 0; i < kSpins; ++i) {
      if (generation.load(std::memory_order_acquire) != seen) return;
      _mm_pause();
    }
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return generation.load(std::memory_order_acquire) != seen; });
  }

  void run_tasks(int worker) {
    try {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < num_tasks;)
        (*task)(i, worker);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next.store(num_tasks, std::memory_order_relaxed);
    }
  }

  const int num_threads;
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<int> running{0};
  alignas(64) std::atomic<uint64_t> generation{0};
  std::atomic<bool> stop{false};
  const FunctionRef<void(int64_t, int)>* task = nullptr;
  int64_t num_tasks = 0;
  std::exception_ptr error;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> workers;
};

ThreadPool::ThreadPool(int num_threads) {
  check(num_threads >= 1, "[threads] {} threads asked for, at least 1 is needed", num_threads);
  state_ = std::make_unique<State>(num_threads);
}
ThreadPool::~ThreadPool() = default;

int ThreadPool::num_threads() const { return state_->num_threads; }

void ThreadPool::parallel_for(int64_t num_tasks, FunctionRef<void(int64_t, int)> task) {
  State& s = *state_;
  if (num_tasks <= 0) return;
  if (s.num_threads == 1 || num_tasks == 1) {
    for (int64_t i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  s.task = &task;
  s.num_tasks = num_tasks;
  s.next.store(0, std::memory_order_relaxed);
  s.running.store(s.num_threads - 1, std::memory_order_relaxed);
  {
    std::lock_guard lock(s.mutex);
    s.generation.fetch_add(1, std::memory_order_release);
  }
  s.wake.notify_all();
  s.run_tasks(0);
  for (int spins = 0; s.running.load(std::memory_order_acquire) != 0; ++spins) {
    _mm_pause();
    if (spins > kSpins) std::this_thread::yield();  // more threads than cores
  }
  if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
}

namespace {
/// CPUs of the cgroup's quota, or a large number where there is none.
double cgroup_cores() {
  double quota = 0, period = 0;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    const int fields = std::fscanf(file, "%lf %lf", &quota, &period);
    std::fclose(file);
    if (fields == 2 && period > 0) return quota / period;
  }
  return 1e9;
}
}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof(set), &set) == 0
                  ? CPU_COUNT(&set)
                  : static_cast<int>(std::thread::hardware_concurrency());
  const double quota = cgroup_cores();
  if (quota < cores) cores = static_cast<int>(quota + 0.999);
  return cores < 1 ? 1 : cores;
}

}  // namespace moge
