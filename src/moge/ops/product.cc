// Rows of every group times B of the group: forward and input gradient.
#include "moge/ops/product.h"

#include <algorithm>
#include <span>

#include "moge/ops/product_segments.h"
#include "moge/ops/product_tasks.h"

namespace moge {

using kernels::GemmBlock;
using kernels::GemmKernels;
using kernels::GemmSegment;
using kernels::kGemmChunk;
using kernels::kGemmPartialTiles;
using kernels::kGemmSegmentUnits;

namespace {

// A worker that packs B for itself keeps it in half of its second-level cache (1 or 2 MiB a core)
// while small blocks of A pass by. Where B is packed for all workers, a larger block of A stays
// there and B passes by, so that A is packed once whatever the number of columns.
constexpr int64_t kOwnPanelFloats = 128 << 10;
constexpr int64_t kSharedPanelFloats = 2 << 20;  // of all workers at a time: 8 MiB
constexpr int64_t kPassingRowsFloats = 16 << 10;
constexpr int64_t kStayingRowsFloats = 64 << 10;
constexpr int64_t kLongTiles = 4;  // where K has several segments: tiles that share one of a panel
constexpr int64_t kMaxTiles = 18;  // of a packed block of A
constexpr int64_t kMinChunkRows = 256;  // fewer rows do not pay for packing B again

/// Whose panels of B a worker multiplies by.
enum class Panels : uint8_t {
  kShared,  ///< one group: all workers pack, then all multiply
  kOwn,     ///< many groups: a task packs its group's
};

Panels panels_of(int64_t experts) { return experts == 1 ? Panels::kShared : Panels::kOwn; }

/// Sizes of a product's blocks; the same for every group.
struct RowsPlan {
  Panels source;
  int64_t units, chunks, tile_floats, panel_floats;
  int64_t tiles;             ///< of a packed block of A
  int64_t panels;            ///< of a group
  int64_t panels_per_block;  ///< of B beside a block of A
  int64_t panels_at_once;    ///< of one round of tasks: kShared cuts large weights

  RowsPlan(const GemmKernels& gemm, Panels panels_source, int64_t columns, int64_t depth,
           int64_t num_chunks)
      : source(panels_source),
        units(ceil_div(depth, gemm.unit_elements)),
        chunks(num_chunks),
        tile_floats(chunks * kGemmChunk * gemm.tile_rows * gemm.a_floats),
        panel_floats(std::max<int64_t>(1, units * gemm.panel_columns)) {
    const bool own = source == Panels::kOwn;
    tiles = std::clamp<int64_t>(
        (own ? kPassingRowsFloats : kStayingRowsFloats) / std::max<int64_t>(1, tile_floats),
        units > kGemmSegmentUnits ? kLongTiles : 1, kMaxTiles);
    panels = std::max<int64_t>(1, ceil_div(columns, gemm.panel_columns));
    panels_at_once = own ? panels : fitting(kSharedPanelFloats);
    panels_per_block = own ? fitting(kOwnPanelFloats) : panels_at_once;
  }
  int64_t blocks() const { return ceil_div(panels, panels_per_block); }
  int64_t block_rows(const GemmKernels& gemm) const { return tiles * gemm.tile_rows; }

 private:
  int64_t fitting(int64_t floats) const {
    const int64_t into = ceil_div(panels, std::max<int64_t>(4, floats / panel_floats));
    return ceil_div(panels, std::clamp<int64_t>(into, 1, panels));
  }
};

struct RowsScratch {
  float *a, *b, *partials;

  RowsScratch(Arena& arena, const GemmKernels& gemm, const RowsPlan& plan) {
    a = arena.allocate<float>(plan.tiles * plan.tile_floats);
    b = plan.source == Panels::kOwn
            ? arena.allocate<float>(plan.panels_per_block * plan.panel_floats)
            : nullptr;
    partials =
        arena.allocate<float>(plan.tiles * kGemmPartialTiles * gemm.tile_rows * gemm.panel_columns);
  }
  /// Bound for every plan of at most as many chunks.
  static size_t bytes(const GemmKernels& gemm, const RowsPlan& plan) {
    return padded_bytes(std::max(kLongTiles * plan.tile_floats, kStayingRowsFloats), 4) +
           padded_bytes(plan.panels_per_block * plan.panel_floats, 4) +
           padded_bytes(kMaxTiles * kGemmPartialTiles * gemm.tile_rows * gemm.panel_columns, 4);
  }
};

/// Bound of the tasks of one round.
int64_t max_tasks(const RowsPlan& plan, int64_t wanted, int64_t experts, int64_t rows,
                  int64_t block_rows) {
  if (plan.source == Panels::kOwn) return (experts + wanted) * plan.panels;
  return 2 * (wanted + std::min(experts, rows) + rows / block_rows);
}

class RowsRun {
 public:
  RowsRun(const Context& context, const RowsProduct& product, Groups offsets)
      : context_(context),
        p_(product),
        offsets_(offsets),
        gemm_(gemm_of(context.kernels, product.weight.dtype)),
        segments_(make_segments(context.scratch, p_.depth(), gemm_.unit_elements, p_.parts)),
        plan_(gemm_, panels_of(num_experts()), p_.columns(), p_.depth(), num_chunks()),
        busy_(busy_experts(context.scratch, offsets)),
        tasks_(context.scratch, max_tasks(plan_, wanted_tasks(context), num_experts(),
                                          offsets.back(), plan_.block_rows(gemm_))) {
    if (plan_.source == Panels::kShared)
      shared_ = context.scratch.allocate<float>(plan_.panels_at_once * plan_.panel_floats);
    workers_ = context.scratch.allocate<RowsScratch>(context.num_threads());
    for (int w = 0; w < context.num_threads(); ++w)
      new (workers_ + w) RowsScratch(context.scratch, gemm_, plan_);
    for (int64_t panel = 0; panel < plan_.panels; panel += plan_.panels_at_once)
      run_round(panel, std::min(plan_.panels, panel + plan_.panels_at_once));
  }

 private:
  int64_t num_experts() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  int64_t num_chunks() const {
    const GemmSegment& last = segments_.back();
    return last.chunk + ceil_div(last.units, kGemmChunk);
  }

  /// All rows times the panels [begin, end) of every group.
  void run_round(int64_t begin, int64_t end) {
    tasks_.clear();
    first_panel_ = begin;
    if (plan_.source == Panels::kShared)
      context_.threads.parallel_for(end - begin, [&](int64_t panel, int) {
        pack(/*expert=*/0, begin + panel, 1, shared_ + panel * plan_.panel_floats);
      });
    plan_.source == Panels::kOwn ? cut_groups() : cut_rows(begin, end);
    context_.threads.parallel_for(
        tasks_.size(), [&](int64_t task, int worker) { run_task(tasks_[task], workers_[worker]); });
  }

  /// A task per group and block of panels; more where a group has many rows.
  void cut_groups() {
    const int64_t experts = static_cast<int64_t>(busy_.size()), rows = offsets_.back();
    const int64_t wanted = wanted_tasks(context_), blocks = plan_.blocks();
    const int64_t chunk = std::max(kMinChunkRows, ceil_div(rows * blocks, wanted));
    // Few rows: the work is reading B, so only its columns can be shared out.
    int64_t panels = plan_.panels_per_block;
    if (experts * blocks < wanted && rows <= experts * kMinChunkRows)
      panels = ceil_div(plan_.panels, std::min(plan_.panels, ceil_div(wanted, experts)));
    for (const int32_t e : busy_) {
      const int64_t count = offsets_[e + 1] - offsets_[e];
      for (int64_t panel = 0; panel < plan_.panels; panel += panels)
        push_chunks(e, std::max<int64_t>(1, count / chunk), panel,
                    std::min(plan_.panels, panel + panels));
    }
  }

  /// A task per block of A; its columns are cut where there are too few of them.
  void cut_rows(int64_t begin, int64_t end) {
    const int64_t block = plan_.block_rows(gemm_);
    int64_t blocks = 0;
    for (const int32_t e : busy_) blocks += ceil_div(offsets_[e + 1] - offsets_[e], block);
    const int64_t wanted = wanted_tasks(context_);
    const int64_t cuts = blocks >= wanted ? 1 : std::min(end - begin, ceil_div(2 * wanted, blocks));
    for (const int32_t e : busy_)
      for (int64_t cut = 0; cut < cuts; ++cut)
        push_chunks(e, ceil_div(offsets_[e + 1] - offsets_[e], block),
                    begin + (end - begin) * cut / cuts, begin + (end - begin) * (cut + 1) / cuts);
  }

  /// The rows of expert e in `chunks` tasks.
  void push_chunks(int32_t e, int64_t chunks, int64_t first_panel, int64_t last_panel) {
    const int64_t first = offsets_[e], count = offsets_[e + 1] - first;
    for (int64_t i = 0; i < chunks; ++i)
      tasks_.push(e, first + count * i / chunks, first + count * (i + 1) / chunks,
                  first_panel * gemm_.panel_columns,
                  std::min(p_.columns(), last_panel * gemm_.panel_columns));
  }

  void pack(int64_t expert, int64_t panel, int64_t panels, float* to) const {
    const Weight& w = p_.weight;
    const ProductMatrix matrix = {static_cast<char*>(const_cast<void*>(w.data)), w.k, w.dtype};
    const int64_t column = panel * gemm_.panel_columns, first_row = expert * w.n;
    const int columns =
        static_cast<int>(std::min(p_.columns() - column, panels * gemm_.panel_columns));
    const int depth = static_cast<int>(p_.depth());
    if (p_.use == WeightUse::kAsStored)
      gemm_.pack_b_columns(matrix.at(first_row, column), w.k, nullptr, columns, depth, to);
    else
      gemm_.pack_b_rows(matrix.at(first_row + column, 0), w.k, columns, depth, to);
  }

  /// The panels of the task's columns.
  const float* panels(const ProductTask& task, float* own) const {
    const int64_t panel = task.column_begin / gemm_.panel_columns;
    if (plan_.source == Panels::kShared)
      return shared_ + (panel - first_panel_) * plan_.panel_floats;
    pack(task.expert, panel, ceil_div(task.column_end - task.column_begin, gemm_.panel_columns),
         own);
    return own;
  }

  void run_task(const ProductTask& task, const RowsScratch& scratch) const {
    const float* b = panels(task, scratch.b);
    const int64_t rows = task.row_end - task.row_begin;
    const int64_t pieces = ceil_div(rows, plan_.block_rows(gemm_));
    for (int64_t i = 0; i < pieces; ++i)
      run_piece(task, scratch, b, task.row_begin + rows * i / pieces,
                task.row_begin + rows * (i + 1) / pieces);
  }

  /// Rows [begin, end), packed once, times the task's panels.
  void run_piece(const ProductTask& task, const RowsScratch& scratch, const float* b, int64_t begin,
                 int64_t end) const {
    GemmBlock block = {.a_packed = scratch.a,
                       .rows = static_cast<int>(end - begin),
                       .units = static_cast<int>(plan_.units),
                       .chunks = static_cast<int>(plan_.chunks),
                       .segments = segments_.data(),
                       .num_segments = static_cast<int>(segments_.size()),
                       .partials = scratch.partials,
                       .c_stride = p_.c.stride,
                       .c_is_bf16 = p_.c.dtype == DType::kBF16,
                       .accumulate = p_.accumulate};
    gemm_.pack_a_rows(p_.a.rows_at(begin, 0), p_.a.stride, p_.a.index_at(begin), block.rows,
                      static_cast<int>(p_.depth()), segments_.data(), block.num_segments,
                      scratch.a);
    // Panels that all workers packed stream from the cache that they share.
    block.b_streams = plan_.source == Panels::kShared;
    const int step = static_cast<int>(plan_.panels_per_block) * gemm_.panel_columns;
    for (int column = task.column_begin; column < task.column_end; column += step) {
      block.columns = std::min(step, task.column_end - column);
      block.b_packed = b + int64_t{column - task.column_begin} * plan_.units;
      block.c = p_.c.at(begin, column);
      block.bias = p_.bias ? p_.bias + column : nullptr;
      block.next_b = b;
      if (column + step >= task.column_end)  // the block of A that comes next, here or elsewhere
        block.next =
            p_.a.next(end, std::min<int64_t>(block.rows, offsets_.back() - end), 0, p_.depth());
      gemm_.multiply(block);
    }
  }

  const Context& context_;
  const RowsProduct& p_;
  const Groups offsets_;
  const GemmKernels& gemm_;
  const std::span<GemmSegment> segments_;
  const RowsPlan plan_;
  const std::span<int32_t> busy_;
  ProductTasks tasks_;
  float* shared_ = nullptr;
  int64_t first_panel_ = 0;
  RowsScratch* workers_ = nullptr;
};

}  // namespace

const GemmKernels& gemm_of(const kernels::Table& table, DType dtype) {
  return dtype == DType::kBF16 ? table.gemm_bf16 : table.gemm_f32;
}

void run(const Context& context, const RowsProduct& product, Groups offsets) {
  const ArenaScope scope(context.scratch);
  if (offsets.back() > offsets.front() && product.columns() > 0) RowsRun(context, product, offsets);
}

size_t rows_product_scratch(const Context& context, int64_t rows, int64_t experts, int64_t columns,
                            int64_t depth) {
  const int64_t threads = context.num_threads(), segments = max_segments(depth, /*parts=*/8);
  size_t most = 0;
  for (const GemmKernels* gemm : {&context.kernels.gemm_f32, &context.kernels.gemm_bf16}) {
    const int64_t chunks = ceil_div(depth, gemm->unit_elements * kGemmChunk) + segments;
    const RowsPlan plan(*gemm, panels_of(experts), columns, depth, chunks);
    const int64_t tasks =
        max_tasks(plan, wanted_tasks(context), experts, rows, plan.block_rows(*gemm));
    const int64_t shared =
        plan.source == Panels::kShared ? plan.panels_at_once * plan.panel_floats : 0;
    most = std::max(most, padded_bytes(segments, sizeof(GemmSegment)) + padded_bytes(experts, 4) +
                              padded_bytes(tasks, sizeof(ProductTask)) +
                              padded_bytes(threads, sizeof(RowsScratch)) + padded_bytes(shared, 4) +
                              static_cast<size_t>(threads) * RowsScratch::bytes(*gemm, plan));
  }
  return most;
}

}  // namespace moge
