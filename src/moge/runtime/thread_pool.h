// The one owner of all compute threads: spin, then sleep; no OpenMP.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace moge {

/// A non-owning reference to a callable, so that passing a lambda allocates nothing.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
      FunctionRef(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

/// Runs tasks on `num_threads` threads, the caller being one of them.
///
/// Tasks are handed out through one atomic counter, so which thread runs a task is not fixed:
/// results must not depend on it (each output element belongs to exactly one task). An exception
/// thrown by a task is rethrown by parallel_for after all tasks have ended.
class ThreadPool {
 public:
  explicit ThreadPool(int num_threads);  ///< at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const;

  /// Calls task(index, worker) for every index in [0, num_tasks); worker in [0, num_threads()).
  /// Returns when all are done. Not reentrant: a task must not call parallel_for.
  void parallel_for(int64_t num_tasks, FunctionRef<void(int64_t task, int worker)> task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Cores that this process may use (affinity mask and cgroup quota respected).
int available_cores();

}  // namespace moge
