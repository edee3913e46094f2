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

// A job is a generation number. `ticket` holds the generation in its upper half and the next task
// in its lower one, so that a worker that comes late can never take a task of a job it has not
// seen, and nobody waits for it: a job ends when its tasks are done, not when every worker has
// woken up.
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

  static constexpr uint64_t kClosed = 0xffffffffu;  // task number at which nothing can be taken
  static uint64_t ticket_of(uint64_t job, uint64_t index) { return job << 32 | index; }

  /// Makes the tasks of a new job available.
  uint64_t open(const FunctionRef<void(int64_t, int)>& work, int64_t count) {
    const uint64_t job = generation.load(std::memory_order_relaxed) + 1;
    ticket.store(ticket_of(job, kClosed));  // before the fields change, no late worker may take
    task.store(&work);
    num_tasks.store(count);
    done.store(0);
    ticket.store(ticket_of(job, 0));
    {
      std::lock_guard lock(mutex);
      generation.store(job, std::memory_order_release);
    }
    wake.notify_all();
    return job;
  }

  void serve(int worker) {
    for (uint64_t seen = 0;;) {
      wait_for_work(seen);
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_relaxed)) return;
      run_tasks(seen, worker);
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

  void run_tasks(uint64_t job, int worker) {
    const auto* work = task.load();
    const int64_t count = num_tasks.load();
    while (true) {
      uint64_t now = ticket.load();
      do {
        const auto index = static_cast<int64_t>(now & kClosed);
        if (now >> 32 != (job & kClosed) || index >= count) return;
      } while (!ticket.compare_exchange_weak(now, now + 1));
      run_one(*work, static_cast<int64_t>(now & kClosed), worker);
      done.fetch_add(1, std::memory_order_acq_rel);
    }
  }

  void run_one(const FunctionRef<void(int64_t, int)>& work, int64_t index, int worker) {
    if (failed.load(std::memory_order_relaxed)) return;
    try {
      work(index, worker);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      failed.store(true, std::memory_order_relaxed);
    }
  }

  const int num_threads;
  alignas(64) std::atomic<uint64_t> ticket{kClosed};
  alignas(64) std::atomic<int64_t> done{0};
  alignas(64) std::atomic<uint64_t> generation{0};
  std::atomic<bool> stop{false}, failed{false};
  std::atomic<const FunctionRef<void(int64_t, int)>*> task{nullptr};
  std::atomic<int64_t> num_tasks{0};
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
  check(num_tasks < static_cast<int64_t>(State::kClosed), "[threads] {} tasks are too many",
        num_tasks);
  const uint64_t job = s.open(task, num_tasks);
  s.run_tasks(job, 0);
  for (int spins = 0; s.done.load(std::memory_order_acquire) != num_tasks; ++spins) {
    _mm_pause();
    if (spins > kSpins) std::this_thread::yield();  // more threads than cores
  }
  if (s.failed.exchange(false)) std::rethrow_exception(std::exchange(s.error, nullptr));
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
