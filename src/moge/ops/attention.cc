// Attention over flat sequences: shape checks, tasks and scratch; the maths is in kernels/cpu.
// T tokens of all sequences, H query heads, N key-value heads, C head dim, G = H / N.
#include "moge/ops/attention.h"

#include <algorithm>

#include "moge/ops/attention_tasks.h"

namespace moge {

namespace {

using kernels::AttentionForward;
using kernels::kAttentionLanes;

void check_heads(const Tensor& x, const char* name, const Tensor& like) {
  check(x.rank == 3 && x.dim(2) == like.dim(2) && x.dim(0) == like.dim(0) && x.dtype == like.dtype,
        "[attention] {} is {}, which does not go with q {}", name, x, like);
  check(x.dim(1) <= 1 || x.stride[1] == x.dim(2),
        "[attention] heads of {} lie {} elements apart, want {}", name, x.stride[1], x.dim(2));
}

void check_offsets(std::span<const int32_t> offsets, int64_t num_tokens) {
  for (size_t s = 0; s + 1 < offsets.size(); ++s)
    check(0 <= offsets[s] && offsets[s] <= offsets[s + 1] && offsets[s + 1] <= num_tokens,
          "[attention] sequence {} has rows [{}, {}) of {}", s, offsets[s], offsets[s + 1],
          num_tokens);
}

void check_inputs(const Tensor& q, const Tensor& k, const Tensor& v,
                  std::span<const int32_t> offsets, const AttentionOptions& options,
                  const Tensor& out, const Tensor& lse) {
  check(q.dtype == DType::kF32 || q.dtype == DType::kBF16,
        "[attention] q is {}, want float32 or bfloat16", name_of(q.dtype));
  for (const auto& [x, name] : {std::pair{&q, "q"}, {&k, "k"}, {&v, "v"}, {&out, "out"}})
    check_heads(*x, name, q);
  check(k.dim(1) == v.dim(1) && k.dim(1) > 0 && q.dim(1) % k.dim(1) == 0 && out.dim(1) == q.dim(1),
        "[attention] {} query heads, {} key heads, {} value heads, {} output heads", q.dim(1),
        k.dim(1), v.dim(1), out.dim(1));
  check(
      lse.rank == 2 && lse.dim(0) == q.dim(0) && lse.dim(1) == q.dim(1) && lse.dtype == DType::kF32,
      "[attention] lse is {}, want float32 [{}, {}]", lse, q.dim(0), q.dim(1));
  check(options.window >= 0, "[attention] window is {}, want 0 (none) or more", options.window);
  check_offsets(offsets, q.dim(0));
}

/// Start of row `row`, head `head` of a [T, heads, C] view.
void* head_at(const Tensor& x, int64_t row, int64_t head) {
  return static_cast<char*>(x.data) + (row * x.stride[0] + head * x.dim(2)) * size_of(x.dtype);
}

/// The queries, keys and values of one sequence and one kv head.
AttentionForward head_group(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                            const Tensor& lse, const AttentionOptions& options, int64_t row,
                            int64_t kv_head) {
  const int64_t group = q.dim(1) / k.dim(1);
  AttentionForward f;
  f.keys = {.k = head_at(k, row, kv_head),
            .v = head_at(v, row, kv_head),
            .bf16 = k.dtype == DType::kBF16,
            .k_stride = k.stride[0],
            .v_stride = v.stride[0]};
  f.q = head_at(q, row, kv_head * group);
  f.out = head_at(out, row, kv_head * group);
  f.lse = lse.as<float>() + row * lse.stride[0] + kv_head * group;
  f.q_stride = q.stride[0];
  f.out_stride = out.stride[0];
  f.lse_stride = lse.stride[0];
  f.bf16 = q.dtype == DType::kBF16;
  f.group = static_cast<int>(group);
  f.head_dim = static_cast<int>(q.dim(2));
  f.window = options.window;
  f.scale = options.scale;
  return f;
}

/// Where a task of backward sums the dk and dv of its kv head in fp32: a place of its own for every
/// kv head or for every worker, whichever takes less.
class BackwardSums {
 public:
  BackwardSums(const Context& context, int64_t num_tokens, std::span<const int32_t> offsets,
               int64_t kv_heads, int64_t padded_dim)
      : by_worker_(context.num_threads() < kv_heads), row_floats_(2 * padded_dim) {
    place_rows_ = num_tokens;
    if (by_worker_) {
      place_rows_ = 0;
      for (size_t s = 0; s + 1 < offsets.size(); ++s)
        place_rows_ = std::max<int64_t>(place_rows_, offsets[s + 1] - offsets[s]);
    }
    const int64_t places = by_worker_ ? context.num_threads() : kv_heads;
    sums_ = context.scratch.allocate<float>(places * place_rows_ * row_floats_);
  }
  float* of(int worker, int64_t kv_head, int64_t first_row) const {
    const int64_t row = by_worker_ ? worker * place_rows_ : kv_head * place_rows_ + first_row;
    return sums_ + row * row_floats_;
  }

 private:
  bool by_worker_;
  int64_t row_floats_, place_rows_;
  float* sums_;
};

}  // namespace

size_t attention_scratch_bytes(const Context& context, int64_t num_tokens, int64_t heads,
                               int64_t kv_heads, int64_t head_dim) {
  (void)heads;
  const int64_t workers = context.num_threads();
  const size_t tiles = WorkerScratch::bytes(context, head_dim);
  const int64_t sums =
      2 * std::min(workers, kv_heads) * num_tokens * kernels::attention_padded_dim(head_dim);
  return tiles + TaskList::bytes(num_tokens) +
         Arena::padded(static_cast<size_t>(sums) * sizeof(float));
}

void attention_forward(const Context& context, const Tensor& q_THC, const Tensor& k_TNC,
                       const Tensor& v_TNC, std::span<const int32_t> offsets,
                       AttentionOptions options, const Tensor& out_THC, const Tensor& lse_TH) {
  check_inputs(q_THC, k_TNC, v_TNC, offsets, options, out_THC, lse_TH);
  ArenaScope scope(context.scratch);
  const int64_t N = k_TNC.dim(1), group = q_THC.dim(1) / N;
  const WorkerScratch scratch(context, q_THC.dim(2));
  const TaskList tasks(context.scratch, static_cast<int64_t>(offsets.size()) - 1, [&](int64_t s) {
    const int64_t lanes = (offsets[s + 1] - offsets[s]) * group;
    return N * ceil_div(lanes, kAttentionLanes);
  });
  context.threads.parallel_for(tasks.count(), [&](int64_t task, int worker) {
    const auto [s, index] = tasks.find(task);
    const int64_t lanes = (offsets[s + 1] - offsets[s]) * group;
    const int64_t block = index / N;
    const AttentionForward f =
        head_group(q_THC, k_TNC, v_TNC, out_THC, lse_TH, options, offsets[s], index % N);
    // The last blocks see the most keys: they come first, so that threads end together.
    const int64_t first = (ceil_div(lanes, kAttentionLanes) - 1 - block) * kAttentionLanes;
    const int num = static_cast<int>(std::min<int64_t>(kAttentionLanes, lanes - first));
    context.kernels.attention.forward(f, first, num, scratch.of(worker));
  });
}

void attention_backward(const Context& context, const Tensor& q_THC, const Tensor& k_TNC,
                        const Tensor& v_TNC, const Tensor& out_THC, const Tensor& lse_TH,
                        const Tensor& dout_THC, std::span<const int32_t> offsets,
                        AttentionOptions options, const Tensor& dq_THC, const Tensor& dk_TNC,
                        const Tensor& dv_TNC) {
  check_inputs(q_THC, k_TNC, v_TNC, offsets, options, out_THC, lse_TH);
  check_heads(dout_THC, "dout", q_THC);
  check_heads(dq_THC, "dq", q_THC);
  check_heads(dk_TNC, "dk", k_TNC);
  check_heads(dv_TNC, "dv", k_TNC);
  ArenaScope scope(context.scratch);
  const int64_t N = k_TNC.dim(1), group = q_THC.dim(1) / N;
  const int64_t Cp = kernels::attention_padded_dim(q_THC.dim(2));
  const BackwardSums sums(context, q_THC.dim(0), offsets, N, Cp);
  const WorkerScratch scratch(context, q_THC.dim(2));
  const TaskList tasks(context.scratch, static_cast<int64_t>(offsets.size()) - 1,
                       [&](int64_t s) { return offsets[s + 1] > offsets[s] ? N : 0; });
  context.threads.parallel_for(tasks.count(), [&](int64_t task, int worker) {
    const auto [s, n] = tasks.find(task);
    kernels::AttentionBackward b;
    b.forward = head_group(q_THC, k_TNC, v_TNC, out_THC, lse_TH, options, offsets[s], n);
    b.num_rows = offsets[s + 1] - offsets[s];
    b.dout = head_at(dout_THC, offsets[s], n * group);
    b.dq = head_at(dq_THC, offsets[s], n * group);
    b.dk = head_at(dk_TNC, offsets[s], n);
    b.dv = head_at(dv_TNC, offsets[s], n);
    b.dout_stride = dout_THC.stride[0];
    b.dq_stride = dq_THC.stride[0];
    b.dk_stride = dk_TNC.stride[0];
    b.dv_stride = dv_TNC.stride[0];
    b.dk_acc = sums.of(worker, n, offsets[s]);
    b.dv_acc = b.dk_acc + b.num_rows * Cp;
    context.kernels.attention.backward(b, scratch.of(worker));
  });
}

}  // namespace moge
