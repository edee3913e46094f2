// What an op needs besides its tensors: threads, kernels, scratch memory. Passed, never global.
#pragma once

#include "moge/kernels/table.h"
#include "moge/runtime/arena.h"
#include "moge/runtime/thread_pool.h"
#include "moge/tensor/tensor.h"

namespace moge {

struct Context {
  ThreadPool& threads;
  const kernels::Table& kernels;
  Arena& scratch;  ///< for an op's own temporaries, given back before it returns

  int num_threads() const { return threads.num_threads(); }
};

}  // namespace moge
