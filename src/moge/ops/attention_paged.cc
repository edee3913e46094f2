// The paged key-value cache: writing new rows, and attention of new rows over cached positions.
#include <cstring>

#include "moge/ops/attention.h"
#include "moge/ops/attention_tasks.h"

namespace moge {

namespace {

using kernels::kAttentionLanes;

bool is_real(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16; }

void check_cache(const PagedKv& cache, const Tensor& x, const char* name) {
  check(is_real(x.dtype) && is_real(cache.dtype),
        "[attention] {} is {} and the cache {}, want float32 or bfloat16", name, name_of(x.dtype),
        name_of(cache.dtype));
  check(x.rank == 3 && x.dim(2) == cache.head_dim && (x.dim(1) <= 1 || x.stride[1] == x.dim(2)),
        "[attention] {} is {}, the cache has heads of {}", name, x, cache.head_dim);
  check(cache.page_tokens > 0 && cache.kv_heads > 0,
        "[attention] the cache has pages of {} positions and {} heads", cache.page_tokens,
        cache.kv_heads);
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

}  // namespace

void kv_write(const Context& context, const Tensor& k_TNC, const Tensor& v_TNC,
              std::span<const SequenceSlice> sequences, const PagedKv& cache) {
  for (const auto& [x, name] : {std::pair{&k_TNC, "k"}, {&v_TNC, "v"}}) {
    check_cache(cache, *x, name);
    check(x->dim(1) == cache.kv_heads, "[attention] {} has {} heads, the cache {}", name, x->dim(1),
          cache.kv_heads);
    check_slices(sequences, cache, x->dim(0));
  }
  constexpr int64_t kRows = 32;  // rows of a task
  ArenaScope scope(context.scratch);
  const TaskList tasks(context.scratch, static_cast<int64_t>(sequences.size()),
                       [&](int64_t s) { return ceil_div(sequences[s].num_tokens, kRows); });
  const int64_t C = cache.head_dim, P = cache.page_tokens;
  const auto write = [&](const Tensor& x, void* pages, int64_t row, int64_t n, int64_t at) {
    const char* from =
        static_cast<const char*>(x.data) + (row * x.stride[0] + n * C) * size_of(x.dtype);
    void* to = static_cast<char*>(pages) + at * size_of(cache.dtype);
    const bool from_bf16 = x.dtype == DType::kBF16, to_bf16 = cache.dtype == DType::kBF16;
    context.kernels.elementwise.cast[from_bf16][to_bf16](from, to, C);
  };
  context.threads.parallel_for(tasks.count(), [&](int64_t task, int) {
    const auto [s, index] = tasks.find(task);
    const SequenceSlice& slice = sequences[s];
    const int64_t end = std::min(slice.num_tokens, (index + 1) * kRows);
    for (int64_t i = index * kRows; i < end; ++i) {
      const int64_t p = slice.first_position + i;
      const int64_t page = slice.page_table[p / P];
      for (int64_t n = 0; n < cache.kv_heads; ++n) {
        const int64_t at = ((page * cache.kv_heads + n) * P + p % P) * C;
        write(k_TNC, cache.k, slice.first_row + i, n, at);
        write(v_TNC, cache.v, slice.first_row + i, n, at);
      }
    }
  });
}

void paged_attention(const Context& context, const Tensor& q_THC,
                     std::span<const SequenceSlice> sequences, const PagedKv& cache,
                     AttentionOptions options, const Tensor& out_THC) {
  check_cache(cache, q_THC, "q");
  check_cache(cache, out_THC, "out");
  check_slices(sequences, cache, q_THC.dim(0));
  const int64_t H = q_THC.dim(1), N = cache.kv_heads, C = cache.head_dim;
  check(H % N == 0 && out_THC.dtype == q_THC.dtype && out_THC.dim(0) == q_THC.dim(0) &&
            out_THC.dim(1) == H,
        "[attention] q is {}, out {}, the cache has {} heads", q_THC, out_THC, N);
  check(options.window >= 0, "[attention] window is {}, want 0 (none) or more", options.window);
  ArenaScope scope(context.scratch);
  const int64_t group = H / N;
  const WorkerScratch scratch(context, C);
  const TaskList tasks(context.scratch, static_cast<int64_t>(sequences.size()), [&](int64_t s) {
    return N * ceil_div(sequences[s].num_tokens * group, kAttentionLanes);
  });
  context.threads.parallel_for(tasks.count(), [&](int64_t task, int worker) {
    const auto [s, index] = tasks.find(task);
    const SequenceSlice& slice = sequences[s];
    const int64_t n = index % N, lanes = slice.num_tokens * group;
    const int64_t page_elements = cache.page_tokens * C, at = n * page_elements;
    const auto address = [&](const void* base, DType dtype, int64_t element) {
      return static_cast<char*>(const_cast<void*>(base)) + element * size_of(dtype);
    };
    kernels::AttentionForward f;
    f.keys = {.k = address(cache.k, cache.dtype, at),
              .v = address(cache.v, cache.dtype, at),
              .bf16 = cache.dtype == DType::kBF16,
              .block_table = slice.page_table.data(),
              .block_rows = cache.page_tokens,
              .block_stride = N * page_elements,
              .k_stride = C,
              .v_stride = C};
    f.q = address(q_THC.data, q_THC.dtype, slice.first_row * q_THC.stride[0] + n * group * C);
    f.out =
        address(out_THC.data, out_THC.dtype, slice.first_row * out_THC.stride[0] + n * group * C);
    f.q_stride = q_THC.stride[0];
    f.out_stride = out_THC.stride[0];
    f.bf16 = q_THC.dtype == DType::kBF16;
    f.group = static_cast<int>(group);
    f.head_dim = static_cast<int>(C);
    f.first_position = slice.first_position;
    f.window = options.window;
    f.scale = options.scale;
    const int64_t first = (ceil_div(lanes, kAttentionLanes) - 1 - index / N) * kAttentionLanes;
    const int num = static_cast<int>(std::min<int64_t>(kAttentionLanes, lanes - first));
    context.kernels.attention.forward(f, first, num, scratch.of(worker));
  });
}

}  // namespace moge
