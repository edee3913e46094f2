// The paged key-value cache: writing new rows, and attention of new rows over cached positions.
// T new tokens, H query heads, N kv heads, C head dim.
#include "moge/ops/attention_paged.h"

#include "moge/ops/attention_tasks.h"
#include "moge/ops/rows.h"
#include "moge/ops/task_ranges.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

using kernels::kKvSplit;
using kernels::kPagedLanes;

kernels::KvLayout layout_of(const PagedKv& cache) {
  const auto format = cache.dtype == DType::kF32    ? kernels::KvFormat::kF32
                      : cache.dtype == DType::kBF16 ? kernels::KvFormat::kBF16
                                                    : kernels::KvFormat::kInt8;
  return {format, static_cast<int>(cache.page_tokens), static_cast<int>(cache.head_dim)};
}

void check_cache(const PagedKv& cache) {
  check(cache.dtype == DType::kF32 || cache.dtype == DType::kBF16 || cache.dtype == DType::kI8,
        "[attention] the cache is {}, want float32, bfloat16 or int8", name_of(cache.dtype));
  check(cache.page_tokens > 0 && cache.page_tokens % kernels::kPageGroup == 0 &&
            cache.kv_heads > 0 && cache.head_dim > 0,
        "[attention] the cache has pages of {} positions, {} heads of {}; want a multiple of {}",
        cache.page_tokens, cache.kv_heads, cache.head_dim, kernels::kPageGroup);
  check(cache.dtype != DType::kI8 || cache.head_dim <= kernels::kMaxInt8HeadDim,
        "[attention] heads of {} are too wide for an int8 cache, which takes {}", cache.head_dim,
        kernels::kMaxInt8HeadDim);
}

void check_rows(const PagedKv& cache, const Tensor& x, const char* name) {
  check(x.dtype == DType::kF32 || x.dtype == DType::kBF16,
        "[attention] {} is {}, want float32 or bfloat16", name, name_of(x.dtype));
  check(x.rank == 3 && x.dim(2) == cache.head_dim && (x.dim(1) <= 1 || x.stride[1] == x.dim(2)),
        "[attention] {} is {}, the cache has heads of {}", name, x, cache.head_dim);
}

void check_slices(std::span<const SequenceSlice> sequences, const PagedKv& cache,
                  int64_t num_rows) {
  for (size_t s = 0; s < sequences.size(); ++s) {
    const SequenceSlice& slice = sequences[s];
    check(slice.first_row >= 0 && slice.num_tokens >= 0 && slice.first_position >= 0 &&
              slice.first_row + slice.num_tokens <= num_rows,
          "[attention] sequence {} has rows [{}, {}) of {} at position {}", s, slice.first_row,
          slice.first_row + slice.num_tokens, num_rows, slice.first_position);
    const int64_t pages = ceil_div(slice.first_position + slice.num_tokens, cache.page_tokens);
    check(slice.num_tokens == 0 || pages <= static_cast<int64_t>(slice.page_table.size()),
          "[attention] sequence {} has {} pages, its {} positions need {}", s,
          slice.page_table.size(), slice.first_position + slice.num_tokens, pages);
  }
}

void check_new_rows(const Tensor& k, const Tensor& v, std::span<const SequenceSlice> sequences,
                    const PagedKv& cache) {
  check_cache(cache);
  for (const auto& [x, name] : {std::pair{&k, "k"}, {&v, "v"}}) {
    check_rows(cache, *x, name);
    check(x->dim(1) == cache.kv_heads, "[attention] {} has {} heads, the cache {}", name, x->dim(1),
          cache.kv_heads);
    check_slices(sequences, cache, x->dim(0));
  }
  check(k.dtype == v.dtype, "[attention] k is {}, v {}", k, v);
}

/// body(slice, first, end): rows [first, end) of a slice, a few at a time, on all threads. Parts
/// begin at multiples of kRows positions: a bf16 value shares its word with its neighbour's.
template <class Body>
void for_few_rows(const Context& context, std::span<const SequenceSlice> sequences, Body body) {
  constexpr int64_t kRows = 8;
  ArenaScope scope(context.scratch);
  const auto tasks_of = [&](int64_t s) {
    const SequenceSlice& slice = sequences[static_cast<size_t>(s)];
    if (slice.num_tokens == 0) return int64_t{0};
    return ceil_div(slice.first_position % kRows + slice.num_tokens, kRows);
  };
  const TaskList tasks(context.scratch, static_cast<int64_t>(sequences.size()), tasks_of);
  context.threads.parallel_for(tasks.count(), [&](int64_t task, int) {
    const auto [s, index] = tasks.find(task);
    const SequenceSlice& slice = sequences[static_cast<size_t>(s)];
    const int64_t begin = index * kRows - slice.first_position % kRows;
    body(slice, std::max<int64_t>(0, begin), std::min(slice.num_tokens, begin + kRows));
  });
}

void write_rows(const Context& context, const Tensor& k_TNC, const Tensor& v_TNC,
                const SequenceSlice& slice, int64_t first, int64_t end, const PagedKv& cache) {
  const kernels::KvLayout layout = layout_of(cache);
  const int64_t P = cache.page_tokens, C = cache.head_dim, page_bytes = cache.page_bytes();
  const auto at = [&](const Tensor& x, int64_t row, int64_t n) {
    return static_cast<const char*>(x.data) + (row * x.stride[0] + n * C) * size_of(x.dtype);
  };
  for (int64_t i = first; i < end; ++i) {
    const int64_t p = slice.first_position + i, row = slice.first_row + i;
    char* page = static_cast<char*>(cache.data) + slice.page_table[p / P] * page_bytes;
    for (int64_t n = 0; n < cache.kv_heads; ++n)
      context.kernels.paged_attention.write(layout, {.k = at(k_TNC, row, n),
                                                     .v = at(v_TNC, row, n),
                                                     .bf16 = k_TNC.dtype == DType::kBF16,
                                                     .block = page + n * layout.block_bytes(),
                                                     .slot = static_cast<int>(p % P)});
  }
}

/// The tasks of a step: blocks of lanes of one sequence and kv head.
class Blocks {
 public:
  Blocks(const Context& context, const Tensor& q, std::span<const SequenceSlice> sequences,
         const PagedKv& cache, AttentionOptions options, const Tensor& out)
      : context_(context),
        q_(q),
        out_(out),
        sequences_(sequences),
        cache_(cache),
        options_(options),
        group_(q.dim(1) / cache.kv_heads),
        tasks_(context.scratch, static_cast<int64_t>(sequences.size()), [&](int64_t s) {
          return cache.kv_heads * ceil_div(sequences[s].num_tokens * group_, kPagedLanes);
        }) {}

  int64_t count() const { return tasks_.count(); }

  struct Block {
    kernels::PagedAttention args;
    int64_t first_lane;
    int num_lanes;
    int64_t first_split, num_splits;
  };
  Block find(int64_t task) const {
    const auto [s, index] = tasks_.find(task);
    const SequenceSlice& slice = sequences_[s];
    const int64_t N = cache_.kv_heads, lanes = slice.num_tokens * group_;
    Block block{.args = arguments(slice, index % N)};
    // The last blocks see the most keys: they come first, so that threads end together.
    block.first_lane = (ceil_div(lanes, kPagedLanes) - 1 - index / N) * kPagedLanes;
    block.num_lanes = static_cast<int>(std::min<int64_t>(kPagedLanes, lanes - block.first_lane));
    const int64_t first = slice.first_position + block.first_lane / group_;
    const int64_t last = slice.first_position + (block.first_lane + block.num_lanes - 1) / group_;
    const int64_t seen =
        options_.window > 0 ? std::max<int64_t>(0, first - options_.window + 1) : 0;
    block.first_split = seen / kKvSplit;
    block.num_splits = last / kKvSplit + 1 - block.first_split;
    return block;
  }

 private:
  kernels::PagedAttention arguments(const SequenceSlice& slice, int64_t n) const {
    const kernels::KvLayout layout = layout_of(cache_);
    const auto at = [&](const Tensor& x) {
      const int64_t element = slice.first_row * x.stride[0] + n * group_ * cache_.head_dim;
      return static_cast<char*>(x.data) + element * size_of(x.dtype);
    };
    return {.layout = layout,
            .blocks = static_cast<const char*>(cache_.data) + n * layout.block_bytes(),
            .page_bytes = cache_.page_bytes(),
            .page_table = slice.page_table.data(),
            .q = at(q_),
            .out = at(out_),
            .q_stride = q_.stride[0],
            .out_stride = out_.stride[0],
            .bf16 = q_.dtype == DType::kBF16,
            .dot_bf16 = context_.kernels.paged_attention.dot_bf16,
            .group = static_cast<int>(group_),
            .first_position = slice.first_position,
            .window = options_.window,
            .scale = options_.scale};
  }

  const Context& context_;
  const Tensor &q_, &out_;
  std::span<const SequenceSlice> sequences_;
  const PagedKv& cache_;
  AttentionOptions options_;
  int64_t group_;
  TaskList tasks_;
};

// Fewer blocks than this for each thread are cut into their splits.
constexpr int64_t kBlocksPerThread = 4;

// With fewer lanes a block's work is to read keys and values.
constexpr int kReadingLanes = 8;

int64_t state_floats(int64_t head_dim) {
  return kernels::paged_state_floats(kPagedLanes, static_cast<int>(head_dim));
}

/// Splits of all blocks side by side, a number of splits at a time; the sums are joined in order.
void attend_by_splits(const Context& context, const Blocks& blocks, int64_t head_dim,
                      int64_t max_splits, float* scratch, int64_t scratch_floats) {
  const auto& kernel = context.kernels.paged_attention;
  const int64_t floats = state_floats(head_dim), count = blocks.count();
  const int64_t at_once = 2 * kBlocksPerThread * context.num_threads() / count;
  float* totals = context.scratch.allocate<float>(count * floats);
  float* states = context.scratch.allocate<float>(count * at_once * floats);
  for (int64_t begin = 0; begin < max_splits; begin += at_once) {
    context.threads.parallel_for(count * at_once, [&](int64_t task, int worker) {
      const Blocks::Block b = blocks.find(task / at_once);
      const int64_t split = begin + task % at_once;
      if (split < b.num_splits)
        kernel.split(b.args, b.first_lane, b.num_lanes, b.first_split + split,
                     states + task * floats, scratch + worker * scratch_floats);
    });
    context.threads.parallel_for(count, [&](int64_t task, int) {
      const Blocks::Block b = blocks.find(task);
      float* total = totals + task * floats;
      const auto dim = static_cast<int>(head_dim);
      if (begin == 0) kernel.clear(b.num_lanes, dim, total);
      for (int64_t i = 0; i < at_once && begin + i < b.num_splits; ++i)
        kernel.join(b.num_lanes, dim, states + (task * at_once + i) * floats, total);
      if (begin + at_once >= max_splits) kernel.finish(b.args, b.first_lane, b.num_lanes, total);
    });
  }
}

}  // namespace

int64_t PagedKv::page_bytes() const { return kv_heads * layout_of(*this).block_bytes(); }

void rope_and_kv_write(const Context& context, const Tensor& q_THC, const Tensor& k_TNC,
                       const Tensor& v_TNC, const Tensor& positions_T, const RopeTable& table,
                       std::span<const SequenceSlice> sequences, const PagedKv& cache) {
  const OpTimer timer("rope and kv write");
  check_rows(cache, q_THC, "q");
  check_new_rows(k_TNC, v_TNC, sequences, cache);
  check_rope(q_THC, positions_T, table);
  check_rope(k_TNC, positions_T, table);
  for_few_rows(context, sequences, [&](const SequenceSlice& slice, int64_t first, int64_t end) {
    const int64_t begin = slice.first_row + first, stop = slice.first_row + end;
    rope_rows(context, q_THC, positions_T, table, begin, stop);
    rope_rows(context, k_TNC, positions_T, table, begin, stop);
    write_rows(context, k_TNC, v_TNC, slice, first, end, cache);
  });
}

void kv_write(const Context& context, const Tensor& k_TNC, const Tensor& v_TNC,
              std::span<const SequenceSlice> sequences, const PagedKv& cache) {
  const OpTimer timer("kv write");
  check_new_rows(k_TNC, v_TNC, sequences, cache);
  for_few_rows(context, sequences, [&](const SequenceSlice& slice, int64_t first, int64_t end) {
    write_rows(context, k_TNC, v_TNC, slice, first, end, cache);
  });
}

void paged_attention(const Context& context, const Tensor& q_THC,
                     std::span<const SequenceSlice> sequences, const PagedKv& cache,
                     AttentionOptions options, const Tensor& out_THC) {
  const OpTimer timer("attention");
  check_cache(cache);
  check_rows(cache, q_THC, "q");
  check_rows(cache, out_THC, "out");
  check_slices(sequences, cache, q_THC.dim(0));
  const int64_t H = q_THC.dim(1), N = cache.kv_heads;
  check(H % N == 0 && out_THC.dtype == q_THC.dtype && out_THC.dim(0) == q_THC.dim(0) &&
            out_THC.dim(1) == H,
        "[attention] q is {}, out {}, the cache has {} heads", q_THC, out_THC, N);
  check(options.window >= 0, "[attention] window is {}, want 0 (none) or more", options.window);
  ArenaScope scope(context.scratch);
  const int64_t floats = kernels::paged_scratch_floats(static_cast<int>(cache.head_dim));
  float* scratch = context.scratch.allocate<float>(context.num_threads() * floats);
  const Blocks blocks(context, q_THC, sequences, cache, options, out_THC);
  int64_t max_splits = 1;
  if (context.num_threads() > 1 && blocks.count() < kBlocksPerThread * context.num_threads())
    for (int64_t task = 0; task < blocks.count(); ++task)
      max_splits = std::max(max_splits, blocks.find(task).num_splits);
  if (max_splits > 1)
    return attend_by_splits(context, blocks, cache.head_dim, max_splits, scratch, floats);
  TaskRanges ranges(context, blocks.count(), [&](int64_t task) {
    const Blocks::Block b = blocks.find(task);
    return b.num_splits * std::max(b.num_lanes, kReadingLanes);
  });
  ranges.run([&](int64_t task, int worker) {
    Blocks::Block b = blocks.find(task), next;
    if (task + 1 < blocks.count()) {
      next = blocks.find(task + 1);
      b.args.next = &next.args;
    }
    context.kernels.paged_attention.forward(b.args, b.first_lane, b.num_lanes,
                                            scratch + worker * floats);
  });
}

size_t paged_attention_scratch_bytes(const Context& context, int64_t num_tokens, int64_t head_dim) {
  const int64_t threads = context.num_threads();
  const auto bytes = [](int64_t floats) {
    return Arena::padded(static_cast<size_t>(floats) * sizeof(float));
  };
  const int64_t states = threads * kBlocksPerThread * state_floats(head_dim);
  return TaskList::bytes(num_tokens) + TaskRanges::bytes(context.num_threads()) + bytes(states) +
         bytes(2 * states) +
         bytes(threads * kernels::paged_scratch_floats(static_cast<int>(head_dim)));
}

}  // namespace moge
