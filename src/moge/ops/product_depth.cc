// Weight gradients: C of every group += A^T B over the group's rows.
#include <algorithm>

#include "moge/ops/product.h"
#include "moge/ops/product_tasks.h"

namespace moge {

using kernels::GemmBlock;
using kernels::GemmKernels;
using kernels::GemmSegment;
using kernels::kGemmChunk;
using kernels::kGemmSegmentUnits;

namespace {

constexpr int64_t kDepthUnits = kGemmSegmentUnits + kGemmSegmentUnits / 2;  // longest segment
constexpr int64_t kDepthTiles = 19;  // of a packed block of A: 256 rows and some
constexpr int64_t kDepthPanels = 4;  // of B beside it
constexpr int64_t kUnitRows = 16;    // at most so many wide is a unit of a tile of packed A
constexpr int64_t kMinTiles = 4;     // fewer do not pay for reading B again
/// B that all workers share, at a time: 2 MiB, so that it is multiplied before it leaves the
/// caches.
constexpr int64_t kSharedFloats = 512 << 10;

/// A group's rows as segments of about kGemmSegmentUnits, as even as possible: a remainder of a few
/// rows would read and write all of C for little.
struct Segments {
  int64_t begin, depth, length, count;

  Segments(int64_t first, int64_t rows, int unit) : begin(first), depth(rows) {
    const int64_t whole = int64_t{kGemmSegmentUnits} * unit;
    count = std::max<int64_t>(1, (depth + whole / 2) / whole);
    length = round_up(ceil_div(depth, count), unit);
    count = ceil_div(depth, length);
  }
  int64_t first(int64_t i) const { return begin + i * length; }
  int depth_of(int64_t i) const { return static_cast<int>(std::min(length, depth - i * length)); }
};

/// How much of B all workers pack together when there is one group.
struct SharedPlan {
  int64_t panels, panels_at_once, segments_at_once;

  SharedPlan(const GemmKernels& gemm, int64_t columns, int64_t depth) {
    const int64_t panel_floats = kDepthUnits * gemm.panel_columns;
    panels = std::max<int64_t>(1, ceil_div(columns, gemm.panel_columns));
    panels_at_once = std::min(panels, kSharedFloats / panel_floats);
    const int64_t segments = depth / kGemmSegmentUnits + 1;  // at most
    segments_at_once = std::min(segments, kSharedFloats / (panels_at_once * panel_floats));
  }
  int64_t segment_floats(const GemmKernels& gemm) const {
    return panels_at_once * gemm.panel_columns * kDepthUnits;
  }
};

struct DepthScratch {
  float *a, *b;

  DepthScratch(Arena& arena, const GemmKernels& gemm) {
    a = arena.allocate<float>(a_floats(gemm));
    b = arena.allocate<float>(b_floats(gemm));
  }
  static int64_t a_floats(const GemmKernels& gemm) {
    return kDepthTiles * round_up(gemm.tile_rows, kUnitRows) * gemm.a_floats * kDepthUnits;
  }
  static int64_t b_floats(const GemmKernels& gemm) {
    return kDepthPanels * gemm.panel_columns * kDepthUnits;
  }
  static size_t bytes(const GemmKernels& gemm) {
    return padded_bytes(a_floats(gemm), 4) + padded_bytes(b_floats(gemm), 4);
  }
};

/// Blocks of C's rows: enough tasks, yet none of few tiles, and none that scratch cannot hold.
int64_t row_blocks(const GemmKernels& gemm, int64_t rows, int64_t wanted) {
  const int64_t tiles = ceil_div(rows, gemm.tile_rows);
  return std::max(ceil_div(tiles, kDepthTiles), std::min(wanted, ceil_div(tiles, kMinTiles)));
}

class DepthRun {
 public:
  DepthRun(const Context& context, const DepthProduct& product, Groups offsets)
      : context_(context),
        p_(product),
        offsets_(offsets),
        gemm_(gemm_of(context.kernels, product.a.dtype)),
        plan_(gemm_, p_.columns, offsets.back()),
        tasks_(context.scratch, max_tasks(context, gemm_, p_.experts, p_.rows, p_.columns)) {
    workers_ = context.scratch.allocate<DepthScratch>(context.num_threads());
    for (int w = 0; w < context.num_threads(); ++w)
      new (workers_ + w) DepthScratch(context.scratch, gemm_);
    p_.experts == 1 ? run_shared() : run_groups();
  }

  static int64_t max_tasks(const Context& context, const GemmKernels& gemm, int64_t experts,
                           int64_t rows, int64_t columns) {
    const int64_t panels = ceil_div(std::max<int64_t>(1, columns), gemm.panel_columns);
    const int64_t blocks = row_blocks(gemm, std::max<int64_t>(1, rows), wanted_tasks(context));
    return experts == 1 ? blocks + std::min(blocks * panels, 2 * wanted_tasks(context))
                        : experts * blocks;
  }

 private:
  /// Many groups: a task packs what it needs of both operands.
  void run_groups() {
    const auto busy = busy_experts(context_.scratch, offsets_);
    const int64_t experts = static_cast<int64_t>(busy.size());
    const int64_t wanted = wanted_tasks(context_);
    const int64_t blocks =
        experts >= wanted ? 1 : row_blocks(gemm_, p_.rows, ceil_div(wanted, experts));
    for (const int32_t e : busy)
      for (int64_t i = 0; i < blocks; ++i)
        tasks_.push(e, p_.rows * i / blocks, p_.rows * (i + 1) / blocks, 0, p_.columns);
    context_.threads.parallel_for(
        tasks_.size(), [&](int64_t task, int worker) { run_group_task(task, workers_[worker]); });
  }

  /// A block of A: rows of C, and a segment.
  struct Step {
    ProductTask part;
    int64_t segment;
  };
  int64_t steps_of(const ProductTask& task) const {
    return blocks_of(task) * segments_of(task.expert).count;
  }
  int64_t blocks_of(const ProductTask& task) const {
    return ceil_div(ceil_div(task.row_end - task.row_begin, gemm_.tile_rows), kDepthTiles);
  }
  Step step_of(const ProductTask& task, int64_t i) const {
    const int64_t blocks = blocks_of(task), block = i % blocks;
    const int64_t rows = task.row_end - task.row_begin;
    ProductTask part = task;
    part.row_begin = static_cast<int32_t>(task.row_begin + rows * block / blocks);
    part.row_end = static_cast<int32_t>(task.row_begin + rows * (block + 1) / blocks);
    return {part, i / blocks};
  }

  void run_group_task(int64_t index, const DepthScratch& scratch) const {
    const ProductTask& task = tasks_[index];
    const Segments segments = segments_of(task.expert);
    const int64_t steps = steps_of(task), next = index + context_.num_threads();
    for (int64_t i = 0; i < steps; ++i) {
      const Step now = step_of(task, i);
      kernels::GemmNextRows next_a;  // of this task, or of the one that this worker may take next
      if (i + 1 < steps)
        next_a = a_rows(step_of(task, i + 1));
      else if (next < tasks_.size())
        next_a = a_rows(step_of(tasks_[next], 0));
      // One step of columns stays packed for all blocks of rows.
      const bool packs = p_.columns > step() || i % blocks_of(task) == 0;
      run_segment(now.part, segments, now.segment, scratch, next_a,
                  [&](int column, int columns, int depth) {
                    if (packs)
                      gemm_.pack_b_columns(p_.b.rows_at(segments.first(now.segment), column),
                                           p_.b.stride, p_.b.index_at(segments.first(now.segment)),
                                           columns, depth, scratch.b);
                    return scratch.b;
                  });
    }
  }

  kernels::GemmNextRows a_rows(const Step& at) const {
    const Segments segments = segments_of(at.part.expert);
    return p_.a.next(segments.first(at.segment), segments.depth_of(at.segment), at.part.row_begin,
                     at.part.row_end - at.part.row_begin);
  }

  /// One group: all workers pack B, then all multiply, as much at a time as scratch holds.
  void run_shared() {
    shared_ =
        context_.scratch.allocate<float>(plan_.segments_at_once * plan_.segment_floats(gemm_));
    const Segments segments = segments_of(0);
    for (int64_t panel = 0; panel < plan_.panels; panel += plan_.panels_at_once)
      for (int64_t s = 0; s < segments.count; s += plan_.segments_at_once)
        run_round(panel, std::min(plan_.panels, panel + plan_.panels_at_once), s,
                  std::min(segments.count, s + plan_.segments_at_once));
  }

  void run_round(int64_t first_panel, int64_t last_panel, int64_t begin, int64_t end) {
    const Segments segments = segments_of(0);
    const int first = static_cast<int>(first_panel) * gemm_.panel_columns;
    const auto last = static_cast<int>(std::min(p_.columns, last_panel * gemm_.panel_columns));
    const int64_t steps = ceil_div(last_panel - first_panel, kDepthPanels);
    context_.threads.parallel_for(steps * (end - begin), [&](int64_t task, int) {
      const int64_t s = begin + task / steps;
      const int column = first + static_cast<int>(task % steps) * step();
      gemm_.pack_b_columns(p_.b.rows_at(segments.first(s), column), p_.b.stride,
                           p_.b.index_at(segments.first(s)), std::min(step(), last - column),
                           segments.depth_of(s), shared_panels(segments, begin, s, column - first));
    });
    cut_shared(first_panel, last_panel);
    context_.threads.parallel_for(tasks_.size(), [&](int64_t task, int worker) {
      for (int64_t s = begin; s < end; ++s)
        run_segment(tasks_[task], segments, s, workers_[worker],
                    s + 1 < end ? a_rows({tasks_[task], s + 1}) : kernels::GemmNextRows{},
                    [&](int column, int, int) {
                      return shared_panels(segments, begin, s, column - first);
                    });
    });
  }

  void cut_shared(int64_t first_panel, int64_t last_panel) {
    const int64_t wanted = wanted_tasks(context_), panels = last_panel - first_panel;
    const int64_t blocks = row_blocks(gemm_, p_.rows, wanted);
    const int64_t cuts = std::min(panels, ceil_div(wanted, blocks));
    tasks_.clear();
    for (int64_t i = 0; i < blocks; ++i)
      for (int64_t cut = 0; cut < cuts; ++cut)
        tasks_.push(
            0, p_.rows * i / blocks, p_.rows * (i + 1) / blocks,
            (first_panel + panels * cut / cuts) * gemm_.panel_columns,
            std::min(p_.columns, (first_panel + panels * (cut + 1) / cuts) * gemm_.panel_columns));
  }

  float* shared_panels(const Segments& segments, int64_t begin, int64_t s, int column) const {
    const int64_t units = ceil_div(segments.depth_of(s), gemm_.unit_elements);
    return shared_ + (s - begin) * plan_.segment_floats(gemm_) + column * units;
  }

  /// C of the task += segment s; panels(column, columns, depth) gives B; next_a is packed then.
  template <class PanelsOf>
  void run_segment(const ProductTask& task, const Segments& segments, int64_t s,
                   const DepthScratch& scratch, const kernels::GemmNextRows& next_a,
                   PanelsOf panels) const {
    const int depth = segments.depth_of(s);
    const int units = static_cast<int>(ceil_div(depth, gemm_.unit_elements));
    const GemmSegment segment = {.units = units, .ends_part = true, .last = true};
    GemmBlock block = {.a_packed = scratch.a,
                       .a_by_columns = true,
                       .rows = task.row_end - task.row_begin,
                       .units = units,
                       .chunks = static_cast<int>(ceil_div(units, kGemmChunk)),
                       .segments = &segment,
                       .num_segments = 1,
                       .c_stride = p_.columns,
                       .accumulate = true};
    gemm_.pack_a_columns(p_.a.rows_at(segments.first(s), task.row_begin), p_.a.stride,
                         p_.a.index_at(segments.first(s)), block.rows, depth, scratch.a);
    for (int column = task.column_begin; column < task.column_end; column += step()) {
      block.columns = std::min(step(), task.column_end - column);
      block.b_packed = panels(column, block.columns, depth);
      block.next = next_a;
      if (const int left = task.column_end - column - block.columns; left > 0)
        block.next = p_.experts == 1 ? kernels::GemmNextRows{}
                                     : p_.b.next(segments.first(s), depth, column + block.columns,
                                                 std::min(step(), left));
      block.c = p_.c + (task.expert * p_.rows + task.row_begin) * p_.columns + column;
      gemm_.multiply(block);
    }
  }

  Segments segments_of(int32_t expert) const {
    return {offsets_[expert], offsets_[expert + 1] - offsets_[expert], gemm_.unit_elements};
  }
  int step() const { return static_cast<int>(kDepthPanels) * gemm_.panel_columns; }

  const Context& context_;
  const DepthProduct& p_;
  const Groups offsets_;
  const GemmKernels& gemm_;
  const SharedPlan plan_;
  ProductTasks tasks_;
  DepthScratch* workers_ = nullptr;
  float* shared_ = nullptr;
};

}  // namespace

void run(const Context& context, const DepthProduct& product, Groups offsets) {
  const ArenaScope scope(context.scratch);
  if (offsets.back() > offsets.front() && product.rows > 0 && product.columns > 0)
    DepthRun(context, product, offsets);
}

size_t depth_product_scratch(const Context& context, int64_t depth, int64_t experts, int64_t rows,
                             int64_t columns) {
  const int64_t threads = context.num_threads();
  size_t most = 0;
  for (const GemmKernels* gemm : {&context.kernels.gemm_f32, &context.kernels.gemm_bf16}) {
    const SharedPlan plan(*gemm, columns, depth);
    const int64_t shared = plan.segments_at_once * plan.segment_floats(*gemm);
    const int64_t tasks = DepthRun::max_tasks(context, *gemm, experts, rows, columns);
    most = std::max(most, padded_bytes(experts, 4) + padded_bytes(tasks, sizeof(ProductTask)) +
                              padded_bytes(threads, sizeof(DepthScratch)) +
                              padded_bytes(experts == 1 ? shared : 0, 4) +
                              static_cast<size_t>(threads) * DepthScratch::bytes(*gemm));
  }
  return most;
}

}  // namespace moge
