#include "moge/ops/expert_mlp.h"

#include <algorithm>
#include <atomic>

#include "moge/ops/gmm_product.h"
#include "moge/ops/linear_checks.h"
#include "moge/ops/rows.h"
#include "moge/ops/task_ranges.h"
#include "moge/runtime/profiler.h"

namespace moge {

using kernels::GmmStore;

namespace {

using Counter = std::atomic<int32_t>;

constexpr const char* kOp = "expert_mlp";

/// Routed or shared experts: two products, and between them SwiGLU and quantized rows.
struct Experts {
  GmmProduct gate_up, down;
  GmmTasks gate_up_tasks, down_tasks;
  float *act_RF = nullptr, *out_RD = nullptr;
  Counter* rows_left = nullptr;  ///< by rows_id: slices of gate and up still to come

  int64_t rows() const { return gate_up.offsets.back(); }
  int64_t width() const { return down.weight.k; }
  explicit operator bool() const { return static_cast<bool>(gate_up.weight); }
};

void check_weights(const Weight& gate_up, const Weight& down, int64_t D, const char* which) {
  check(gate_up.quantized() && gate_up.paired, "[{}] {} gate and up are not packed as pairs", kOp,
        which);
  check(down.format == gate_up.format && !down.paired,
        "[{}] {} down projection is not packed like gate and up", kOp, which);
  check(gate_up.k == D && down.n == D && gate_up.n == 2 * down.k && gate_up.experts == down.experts,
        "[{}] {} gate and up are {} of {} x {}, down is {} of {} x {}, want widths of {}", kOp,
        which, gate_up.experts, gate_up.n, gate_up.k, down.experts, down.n, down.k, D);
}

class ExpertMlp {
 public:
  ExpertMlp(const Context& context, const ExpertWeights& weights, const ExpertRouting& routing,
            const Tensor& x_TD, const Tensor& out_TD)
      : context_(context),
        r_(routing),
        T_(x_TD.dim(0)),
        D_(x_TD.dim(1)),
        out_TD_(out_TD),
        all_tokens_{0, static_cast<int32_t>(T_)} {
    x_ = QuantizedRows::allocate(context.scratch, T_, D_);
    quantize_rows(context, x_TD, x_);
    if (weights.gate_up_E2FD) {
      routed_ = make(weights.gate_up_E2FD, weights.down_EDF,
                     {r_.offsets_E1.as<int32_t>(), static_cast<size_t>(r_.offsets_E1.dim(0))});
      routed_.gate_up.index = r_.token_of_R.as<int32_t>();
    }
    if (weights.shared_gate_up_2SD) {
      shared_ = make(weights.shared_gate_up_2SD, weights.shared_down_DS, all_tokens_);
      if (!routed_) shared_.down.y = out_TD.data, shared_.down.y_stride = out_TD.row_stride();
    }
    cut_gate_up(routed_);
    cut_gate_up(shared_);
    cut_down();
    scratch_ = context.scratch.allocate<GmmScratch>(context.num_threads());
    const int64_t rows = std::max(routed_ ? routed_.rows() : 0, T_);
    const int64_t k = std::max({D_, routed_ ? routed_.width() : 0, shared_ ? shared_.width() : 0});
    for (int w = 0; w < context.num_threads(); ++w)
      new (scratch_ + w) GmmScratch(context.scratch, context.kernels.gmm, rows, k);
  }

  ExpertMlp(const ExpertMlp&) = delete;

  void run() {
    for_tasks(&Experts::gate_up, &Experts::gate_up_tasks, [&](Experts& experts, const GmmTask& t) {
      if (experts.rows_left[t.rows_id].fetch_sub(1, std::memory_order_acq_rel) == 1)
        quantize(experts, t.row_begin, t.row_end);
    });
    for_tasks(&Experts::down, &Experts::down_tasks, [&](Experts&, const GmmTask& t) {
      if (slice_left_[t.slice].fetch_sub(1, std::memory_order_acq_rel) == 1) combine(t.slice);
    });
  }

 private:
  Experts make(const Weight& gate_up, const Weight& down, Groups offsets) {
    Arena& arena = context_.scratch;
    Experts e;
    const int64_t rows = offsets.back(), F = down.k;
    e.act_RF = arena.allocate<float>(rows * F);
    e.out_RD = arena.allocate<float>(rows * D_);
    e.gate_up = {.weight = gate_up,
                 .x = x_,
                 .offsets = offsets,
                 .y = e.act_RF,
                 .y_stride = F,
                 .store = GmmStore::kSwiglu};
    e.down = {.weight = down,
              .x = QuantizedRows::allocate(arena, rows, F),
              .offsets = offsets,
              .y = e.out_RD,
              .y_stride = D_};
    return e;
  }

  static Counter* make_counters(Arena& arena, int64_t count) {
    auto* counters = arena.allocate<Counter>(count);
    for (int64_t i = 0; i < count; ++i) new (counters + i) Counter(0);
    return counters;
  }

  void cut_gate_up(Experts& e) {
    if (!e) return;
    e.gate_up_tasks = make_tasks(context_, cut_of(context_, e.gate_up));
    e.rows_left = make_counters(context_.scratch, e.gate_up_tasks.num_rows_ids);
    for (const GmmTask& t : e.gate_up_tasks.tasks) e.rows_left[t.rows_id].fetch_add(1);
  }

  /// Both kinds have the same slices of D: whoever ends a slice's last task sums the slice.
  void cut_down() {
    GmmCut routed, shared;
    if (routed_) routed = cut_of(context_, routed_.down);
    if (shared_) shared = cut_of(context_, shared_.down);
    if (routed_ && shared_)
      routed.panels_per_slice = shared.panels_per_slice =
          std::min(routed.panels_per_slice, shared.panels_per_slice);
    if (routed_) routed_.down_tasks = make_tasks(context_, routed);
    if (shared_) shared_.down_tasks = make_tasks(context_, shared);
    const GmmCut& any = routed_ ? routed : shared;
    slice_columns_ = any.panels_per_slice * kernels::kGmmPanel;
    slice_left_ = make_counters(context_.scratch, any.slices());
    for (const Experts* e : {&routed_, &shared_})
      for (const GmmTask& t : e->down_tasks.tasks) slice_left_[t.slice].fetch_add(1);
  }

  /// Every task of both kinds once; `done` after each.
  template <class Done>
  void for_tasks(GmmProduct Experts::*product, GmmTasks Experts::*tasks, Done done) {
    const auto first = static_cast<int64_t>((routed_.*tasks).tasks.size());
    const auto count = first + static_cast<int64_t>((shared_.*tasks).tasks.size());
    const auto kind_of = [&](int64_t i) -> Experts& { return i < first ? routed_ : shared_; };
    const auto task_of = [&](int64_t i) {
      return (kind_of(i).*tasks).tasks.data() + (i < first ? i : i - first);
    };
    const ArenaScope scope(context_.scratch);
    TaskRanges ranges(context_, count, [&](int64_t i) {
      return cost_of(*task_of(i), (kind_of(i).*product).panel_bytes());
    });
    ranges.run([&](int64_t i, int worker) {
      const bool ends = i + 1 == first || i + 1 == count;
      run_task(context_.kernels.gmm, kind_of(i).*product, *task_of(i),
               ends ? nullptr : task_of(i) + 1, scratch_[worker]);
      done(kind_of(i), *task_of(i));
    });
  }

  void quantize(const Experts& e, int64_t begin, int64_t end) const {
    const QuantizedRows& q = e.down.x;
    context_.kernels.gmm.quantize[kernels::kFp32](
        {.x = e.act_RF + begin * q.k,
         .x_stride = q.k,
         .rows = end - begin,
         .k = q.k,
         .values = q.values + begin * q.stride,
         .stride = q.stride,
         .scales = q.scales + begin,
         .sums = q.sums + begin * kernels::gmm_groups(q.k)});
  }

  /// One slice of columns of out_TD from the experts' rows.
  void combine(int64_t slice) const {
    if (!routed_) return;  // written where it belongs
    const int64_t begin = slice * slice_columns_, end = std::min(D_, begin + slice_columns_);
    const int64_t columns = end - begin, stride = out_TD_.row_stride();
    float* out = out_TD_.as<float>() + begin;
    const int64_t K = r_.row_of_TK.dim(1);
    context_.kernels.permute.combine_forward[kernels::kFp32](
        {.rows = {routed_.out_RD + begin, D_, 0},
         .row_of_TK = r_.row_of_TK.as<int32_t>(),
         .weights_TK = r_.weights_TK.as<float>(),
         .accumulate = false,
         .y = {out, stride, 0},
         .T = T_,
         .D = columns,
         .K = static_cast<int>(K),
         .G = static_cast<int>(r_.num_groups)});
    if (!shared_) return;
    const float* rows = shared_.out_RD + begin;
    if (r_.shared_gate_T)
      context_.kernels.elementwise.sigmoid_gate_forward[kernels::kFp32](
          {.gate_T = r_.shared_gate_T.as<float>(),
           .x = {rows, D_, 0},
           .y = {out, stride, 0},
           .T = T_,
           .D = columns});
    else
      for (int64_t t = 0; t < T_; ++t)
        context_.kernels.elementwise.add[kernels::kFp32](rows + t * D_, out + t * stride, columns);
  }

  const Context& context_;
  const ExpertRouting& r_;
  int64_t T_, D_;
  Tensor out_TD_;
  std::array<int32_t, 2> all_tokens_;
  QuantizedRows x_;
  Experts routed_, shared_;
  int64_t slice_columns_ = 0;
  Counter* slice_left_ = nullptr;  ///< tasks still to come, by slice of D
  GmmScratch* scratch_ = nullptr;
};

void check_routing(const ExpertRouting& r, int64_t T, int64_t E) {
  check(r.row_of_TK.rank == 2 && r.row_of_TK.dim(0) == T, "[{}] row_of is {}, want [{}, K]", kOp,
        r.row_of_TK, T);
  const int64_t K = r.row_of_TK.dim(1);
  check(K >= 1 && K <= kernels::kMaxSlots && r.num_groups >= 1 && K % r.num_groups == 0,
        "[{}] {} slots do not divide into {} groups", kOp, K, r.num_groups);
  check_dense(r.row_of_TK, {T, K}, DType::kI32, kOp, "row_of");
  check_dense(r.weights_TK, {T, K}, DType::kF32, kOp, "weights");
  check_dense(r.token_of_R, {T * K}, DType::kI32, kOp, "token_of");
  check_dense(r.offsets_E1, {E + 1}, DType::kI32, kOp, "offsets");
}

}  // namespace

bool takes_expert_mlp(const ExpertWeights& w) {
  const auto takes = [](const Weight& gate_up, const Weight& down) {
    return !gate_up || (gate_up.paired && gate_up.quantized() && down.format == gate_up.format);
  };
  return (w.gate_up_E2FD || w.shared_gate_up_2SD) && takes(w.gate_up_E2FD, w.down_EDF) &&
         takes(w.shared_gate_up_2SD, w.shared_down_DS);
}

void expert_mlp_forward(const Context& context, const ExpertWeights& weights,
                        const ExpertRouting& routing, const Tensor& x_TD, const Tensor& out_TD) {
  const OpTimer timer("experts");
  const int64_t T = x_TD.dim(0), D = x_TD.dim(1);
  check_matrix(kOp, "x", x_TD, T, D);
  check_matrix(kOp, "out", out_TD, T, D);
  check(out_TD.dtype == DType::kF32, "[{}] out is {}, want float32", kOp, out_TD);
  check(weights.gate_up_E2FD || weights.shared_gate_up_2SD, "[{}] there are no experts", kOp);
  if (weights.gate_up_E2FD) {
    check_weights(weights.gate_up_E2FD, weights.down_EDF, D, "routed");
    check_routing(routing, T, weights.gate_up_E2FD.experts);
  }
  if (weights.shared_gate_up_2SD)
    check_weights(weights.shared_gate_up_2SD, weights.shared_down_DS, D, "shared");
  if (T == 0 || D == 0) return;
  const ArenaScope scope(context.scratch);
  ExpertMlp(context, weights, routing, x_TD, out_TD).run();
}

size_t expert_mlp_scratch_bytes(const Context& context, const ExpertMlpSizes& s) {
  const auto floats = [](int64_t count) { return Arena::padded(static_cast<size_t>(count) * 4); };
  const auto kind = [&](int64_t rows, int64_t experts, int64_t width) {
    if (rows == 0 || width == 0) return size_t{0};
    const int64_t tasks = experts + 64 * context.num_threads();
    return floats(rows * width) + floats(rows * s.D) + QuantizedRows::bytes(rows, width) +
           2 * make_tasks_scratch(context, experts, std::max(width, s.D)) + floats(tasks);
  };
  const int64_t rows = std::max(s.T, s.T * s.K), k = std::max({s.D, s.F, s.S});
  const auto threads = static_cast<size_t>(context.num_threads());
  return QuantizedRows::bytes(s.T, s.D) + kind(s.T * s.K, s.E, s.F) + kind(s.T, 1, s.S) +
         floats(s.D) + TaskRanges::bytes(context.num_threads()) +
         Arena::padded(threads * sizeof(GmmScratch)) +
         threads * GmmScratch::bytes(context.kernels.gmm, rows, k);
}

}  // namespace moge
