#include "moge/ops/expert_mlp.h"

#include <algorithm>
#include <atomic>

#include "moge/ops/gmm_product.h"
#include "moge/ops/linear_checks.h"
#include "moge/ops/packed_product.h"
#include "moge/ops/rows.h"
#include "moge/ops/task_ranges.h"
#include "moge/runtime/profiler.h"

namespace moge {

using kernels::GmmStore;

namespace {

using Counter = std::atomic<int32_t>;

constexpr const char* kOp = "expert_mlp";

void check_weights(const Weight& gate_up, const Weight& down, int64_t D, const char* which) {
  check(gate_up.format != WeightFormat::kRowMajor && gate_up.paired,
        "[{}] {} gate and up are not packed as pairs", kOp, which);
  check(down.format == gate_up.format && !down.paired &&
            (down.quantized() || down.dtype == gate_up.dtype),
        "[{}] {} down projection is not packed like gate and up", kOp, which);
  check(gate_up.k == D && down.n == D && gate_up.n == 2 * down.k && gate_up.experts == down.experts,
        "[{}] {} gate and up are {} of {} x {}, down is {} of {} x {}, want widths of {}", kOp,
        which, gate_up.experts, gate_up.n, gate_up.k, down.experts, down.n, down.k, D);
}

/// What is special about quantized experts: their rows are quantized before each product.
class QuantizedExperts {
 public:
  using Product = GmmProduct;
  using Scratch = GmmScratch;

  QuantizedExperts(const Context& context, const Tensor& x_TD)
      : context_(context), x_(QuantizedRows::allocate(context.scratch, x_TD.dim(0), x_TD.dim(1))) {
    quantize_rows(context, x_TD, x_);
  }

  Product gate_up(const Weight& w, Groups offsets, const Tensor& token_of_R) const {
    return {.weight = w,
            .x = x_,
            .index = static_cast<const int32_t*>(token_of_R.data),
            .offsets = offsets,
            .y = context_.scratch.allocate<float>(offsets.back() * w.n / 2),
            .y_stride = w.n / 2,
            .store = GmmStore::kSwiglu};
  }
  Product down(const Weight& w, const Product& gate_up, float* y, int64_t y_stride,
               const LinearOptions&) const {
    return {.weight = w,
            .x = QuantizedRows::allocate(context_.scratch, gate_up.offsets.back(), w.k),
            .offsets = gate_up.offsets,
            .y = y,
            .y_stride = y_stride};
  }
  /// Rows [begin, end) of gate_up are complete.
  void prepare_down(const Product& gate_up, const Product& down, int64_t begin, int64_t end) const {
    const QuantizedRows& q = down.x;
    context_.kernels.gmm.quantize[kernels::kFp32](
        {.x = static_cast<const float*>(gate_up.y) + begin * q.k,
         .x_stride = q.k,
         .rows = end - begin,
         .k = q.k,
         .values = q.values + begin * q.stride,
         .stride = q.stride,
         .scales = q.scales + begin,
         .sums = q.sums + begin * kernels::gmm_groups(q.k)});
  }

  static int64_t panel_columns(const Product&) { return kernels::kGmmPanel; }
  void make_scratch(Scratch* at, int64_t rows, int64_t k, const Weight&) const {
    new (at) GmmScratch(context_.scratch, context_.kernels.gmm, rows, k);
  }
  void run(const Product& p, const GmmTask& task, const GmmTask* next, Scratch& s) const {
    run_task(context_.kernels.gmm, p, task, next, s);
  }

 private:
  const Context& context_;
  QuantizedRows x_;
};

/// The same of fp32 and bf16 experts.
class FloatExperts {
 public:
  using Product = PackedProduct;
  using Scratch = PackedScratch;

  FloatExperts(const Context& context, const Tensor& x_TD) : context_(context), x_TD_(x_TD) {}

  Product gate_up(const Weight& w, Groups offsets, const Tensor& token_of_R) const {
    const int64_t rows = offsets.back(), F = w.n / 2;
    const auto bytes = static_cast<size_t>(rows * F * size_of(w.dtype));
    return plan_product(context_,
                        {.weight = w,
                         .x = ProductMatrix::of(x_TD_, token_of_R),
                         .y = {static_cast<char*>(context_.scratch.allocate(bytes)), F, w.dtype},
                         .offsets = offsets,
                         .swiglu = true});
  }
  Product down(const Weight& w, const Product& gate_up, float* y, int64_t y_stride,
               const LinearOptions& sum) const {
    return plan_product(context_, {.weight = w,
                                   .x = gate_up.y,
                                   .y = {reinterpret_cast<char*>(y), y_stride, DType::kF32},
                                   .offsets = gate_up.offsets,
                                   .parts = sum_parts(kOp, sum)});
  }
  void prepare_down(const Product&, const Product&, int64_t, int64_t) const {}

  static int64_t panel_columns(const Product& p) { return p.plan.width; }
  void make_scratch(Scratch* at, int64_t, int64_t k, const Weight& w) const {
    new (at) PackedScratch(context_.scratch, gemm_of(context_.kernels, w.dtype), k);
  }
  void run(const Product& p, const GmmTask& task, const GmmTask* next, Scratch& s) const {
    run_task(p, task, next, s);
  }

 private:
  const Context& context_;
  Tensor x_TD_;
};

/// Routed or shared experts: two products with SwiGLU between them.
template <class Kind>
struct Experts {
  typename Kind::Product gate_up, down;
  GmmTasks gate_up_tasks, down_tasks;
  float* out_RD = nullptr;
  Counter* rows_left = nullptr;  ///< by rows_id: slices of gate and up still to come

  int64_t rows() const { return gate_up.offsets.back(); }
  int64_t width() const { return down.weight.k; }
  explicit operator bool() const { return static_cast<bool>(gate_up.weight); }
};

template <class Kind>
class ExpertMlp {
 public:
  ExpertMlp(const Context& context, const ExpertWeights& weights, const ExpertRouting& routing,
            const Tensor& x_TD, const Tensor& out_TD)
      : context_(context),
        r_(routing),
        T_(x_TD.dim(0)),
        D_(x_TD.dim(1)),
        out_TD_(out_TD),
        all_tokens_{0, static_cast<int32_t>(T_)},
        kind_(context, x_TD) {
    const ExpertWeights& w = weights;
    if (w.gate_up_E2FD) {
      const Groups offsets = {r_.offsets_E1.as<int32_t>(),
                              static_cast<size_t>(r_.offsets_E1.dim(0))};
      routed_.out_RD = context.scratch.allocate<float>(offsets.back() * D_);
      make(routed_, w.gate_up_E2FD, w.down_EDF, offsets, r_.token_of_R, D_, w.down_sum);
    }
    if (w.shared_gate_up_2SD) {
      const bool alone = !w.gate_up_E2FD;
      shared_.out_RD = alone ? out_TD.as<float>() : context.scratch.allocate<float>(T_ * D_);
      make(shared_, w.shared_gate_up_2SD, w.shared_down_DS, all_tokens_, {},
           alone ? out_TD.row_stride() : D_, w.shared_down_sum);
    }
    cut_gate_up(routed_);
    cut_gate_up(shared_);
    cut_down();
    make_scratch(w.gate_up_E2FD ? w.gate_up_E2FD : w.shared_gate_up_2SD);
  }

  ExpertMlp(const ExpertMlp&) = delete;

  void run() {
    for_tasks(&Kinds::gate_up, &Kinds::gate_up_tasks, [&](Kinds& e, const GmmTask& t) {
      if (e.rows_left[t.rows_id].fetch_sub(1, std::memory_order_acq_rel) == 1)
        kind_.prepare_down(e.gate_up, e.down, t.row_begin, t.row_end);
    });
    for_tasks(&Kinds::down, &Kinds::down_tasks, [&](Kinds&, const GmmTask& t) {
      if (slice_left_[t.slice].fetch_sub(1, std::memory_order_acq_rel) == 1) combine(t.slice);
    });
  }

 private:
  using Kinds = Experts<Kind>;

  void make(Kinds& e, const Weight& gate_up, const Weight& down, Groups offsets,
            const Tensor& token_of_R, int64_t out_stride, const LinearOptions& sum) {
    e.gate_up = kind_.gate_up(gate_up, offsets, token_of_R);
    e.down = kind_.down(down, e.gate_up, e.out_RD, out_stride, sum);
  }

  void make_scratch(const Weight& any) {
    const int threads = context_.num_threads();
    scratch_ = context_.scratch.allocate<typename Kind::Scratch>(threads);
    const int64_t rows = std::max(routed_ ? routed_.rows() : 0, T_);
    const int64_t k = std::max({D_, routed_ ? routed_.width() : 0, shared_ ? shared_.width() : 0});
    for (int w = 0; w < threads; ++w) kind_.make_scratch(scratch_ + w, rows, k, any);
  }

  static Counter* make_counters(Arena& arena, int64_t count) {
    auto* counters = arena.allocate<Counter>(count);
    for (int64_t i = 0; i < count; ++i) new (counters + i) Counter(0);
    return counters;
  }

  void cut_gate_up(Kinds& e) {
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
    slice_columns_ =
        any.panels_per_slice * Kind::panel_columns(routed_ ? routed_.down : shared_.down);
    slice_left_ = make_counters(context_.scratch, any.slices());
    for (const Kinds* e : {&routed_, &shared_})
      for (const GmmTask& t : e->down_tasks.tasks) slice_left_[t.slice].fetch_add(1);
  }

  /// Every task of both kinds once; `done` after each.
  template <class Done>
  void for_tasks(typename Kind::Product Kinds::*product, GmmTasks Kinds::*tasks, Done done) {
    const auto first = static_cast<int64_t>((routed_.*tasks).tasks.size());
    const auto count = first + static_cast<int64_t>((shared_.*tasks).tasks.size());
    const auto kind_of = [&](int64_t i) -> Kinds& { return i < first ? routed_ : shared_; };
    const auto task_of = [&](int64_t i) {
      return (kind_of(i).*tasks).tasks.data() + (i < first ? i : i - first);
    };
    const ArenaScope scope(context_.scratch);
    TaskRanges ranges(context_, count, [&](int64_t i) {
      return cost_of(*task_of(i), (kind_of(i).*product).panel_bytes());
    });
    ranges.run([&](int64_t i, int worker) {
      const bool ends = i + 1 == first || i + 1 == count;
      kind_.run(kind_of(i).*product, *task_of(i), ends ? nullptr : task_of(i) + 1,
                scratch_[worker]);
      done(kind_of(i), *task_of(i));
    });
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
  Kind kind_;
  Kinds routed_, shared_;
  int64_t slice_columns_ = 0;
  Counter* slice_left_ = nullptr;  ///< tasks still to come, by slice of D
  typename Kind::Scratch* scratch_ = nullptr;
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
    return !gate_up || (gate_up.paired && down.format == gate_up.format);
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
  const Weight& any = weights.gate_up_E2FD ? weights.gate_up_E2FD : weights.shared_gate_up_2SD;
  if (weights.gate_up_E2FD && weights.shared_gate_up_2SD)
    check(any.format == weights.shared_gate_up_2SD.format,
          "[{}] routed and shared experts are in different formats", kOp);
  if (!any.quantized())
    check(x_TD.dtype == any.dtype &&
              (!weights.shared_gate_up_2SD || weights.shared_gate_up_2SD.dtype == any.dtype),
          "[{}] x is {}, want the type of all weights", kOp, x_TD);
  if (T == 0 || D == 0) return;
  const ArenaScope scope(context.scratch);
  if (any.quantized())
    ExpertMlp<QuantizedExperts>(context, weights, routing, x_TD, out_TD).run();
  else
    ExpertMlp<FloatExperts>(context, weights, routing, x_TD, out_TD).run();
}

size_t expert_mlp_scratch_bytes(const Context& context, const ExpertMlpSizes& s) {
  const auto floats = [](int64_t count) { return Arena::padded(static_cast<size_t>(count) * 4); };
  const auto kind = [&](int64_t rows, int64_t experts, int64_t width) {
    if (rows == 0 || width == 0) return size_t{0};
    const int64_t tasks = experts + 64 * context.num_threads();
    const size_t between = std::max(QuantizedRows::bytes(rows, width),
                                    packed_plan_scratch(s.D) + packed_plan_scratch(width));
    return floats(rows * width) + floats(rows * s.D) + between +
           2 * make_tasks_scratch(context, experts, std::max(width, s.D)) + floats(tasks);
  };
  const int64_t rows = std::max(s.T, s.T * s.K), k = std::max({s.D, s.F, s.S});
  const auto& table = context.kernels;
  const size_t worker =
      std::max({sizeof(GmmScratch) + Arena::kAlignment + GmmScratch::bytes(table.gmm, rows, k),
                sizeof(PackedScratch) + Arena::kAlignment +
                    std::max(PackedScratch::bytes(table.gemm_f32, k),
                             PackedScratch::bytes(table.gemm_bf16, k))});
  return QuantizedRows::bytes(s.T, s.D) + kind(s.T * s.K, s.E, s.F) + kind(s.T, 1, s.S) +
         floats(s.D) + TaskRanges::bytes(context.num_threads()) +
         static_cast<size_t>(context.num_threads()) * worker;
}

}  // namespace moge
