#include "moge/ops/product.h"

#include <algorithm>
#include <bit>
#include <span>

namespace moge {

using kernels::GemmBlock;
using kernels::GemmKernels;
using kernels::GemmSegment;
using kernels::kGemmChunk;
using kernels::kGemmPartialTiles;
using kernels::kGemmSegmentUnits;

namespace {

// Packed B stays in half of a worker's second-level cache (1 or 2 MiB a core) while the blocks of A
// pass by; a block of A is small, its rows are fetched while the one before it is multiplied.
constexpr int64_t kPanelFloats = 128 << 10;
constexpr int64_t kRowsFloats = 16 << 10;
constexpr int64_t kLongTiles = 4;  // where K has several segments: tiles that share one of a panel
constexpr int64_t kMaxTiles = 18;  // of a packed block of A
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kMinChunkRows = 256;  // fewer rows do not pay for packing B again

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

/// A part of C that one worker computes alone.
struct Task {
  int32_t expert;
  int32_t row_begin, row_end;
  int32_t column_begin, column_end;
};

struct TaskList {
  Task* tasks = nullptr;
  int64_t size = 0;
  void push(const Task& task) { tasks[size++] = task; }
};

/// Experts that have rows, those with most first, so that the last tasks are small.
std::span<int32_t> busy_experts(Arena& arena, Groups offsets) {
  const int64_t experts = static_cast<int64_t>(offsets.size()) - 1;
  auto* order = arena.allocate<int32_t>(experts);
  int64_t count = 0;
  for (int64_t e = 0; e < experts; ++e)
    if (offsets[e + 1] > offsets[e]) order[count++] = static_cast<int32_t>(e);
  const auto rows = [&](int32_t e) { return offsets[e + 1] - offsets[e]; };
  std::sort(order, order + count,
            [&](int32_t a, int32_t b) { return rows(a) != rows(b) ? rows(a) > rows(b) : a < b; });
  return {order, static_cast<size_t>(count)};
}

int64_t part_elements(int64_t depth, int parts) {
  return parts == 1 ? depth : round_up(ceil_div(depth, parts), 2);
}

int64_t max_segments(int64_t depth, int parts) {
  return parts * std::max<int64_t>(1, ceil_div(part_elements(depth, parts), kGemmSegmentUnits));
}

/// The order of sums of kernels/gemm.h for `parts` equal parts of the depth.
std::span<GemmSegment> make_segments(Arena& arena, int64_t depth, int unit_elements, int parts) {
  auto* segments = arena.allocate<GemmSegment>(max_segments(depth, parts));
  const int64_t part_length = part_elements(depth, parts);
  int count = 0, chunk = 0;
  for (int part = 0; part < parts; ++part) {
    const int64_t part_begin = std::min(depth, part * part_length);
    const int begin = static_cast<int>(ceil_div(part_begin, unit_elements));
    const int64_t part_end = std::min(depth, (part + 1) * part_length);
    const int end = static_cast<int>(ceil_div(part_end, unit_elements));
    int at = begin;
    do {
      const int units = std::min(kGemmSegmentUnits, end - at);
      const bool ends_part = at + units == end;
      segments[count++] = {.begin = at,
                           .units = units,
                           .chunk = chunk,
                           .continues = at > begin,
                           .ends_part = ends_part,
                           .joins = std::countr_one(static_cast<unsigned>(part)),
                           .last = ends_part && part == parts - 1};
      chunk += static_cast<int>(ceil_div(units, kGemmChunk));
      at += units;
    } while (at < end);
  }
  return {segments, static_cast<size_t>(count)};
}

/// Sizes of a RowsProduct's blocks; the same for every group.
struct RowsPlan {
  int64_t units, chunks, tile_floats, tiles, panels, panels_per_block, blocks;

  RowsPlan(const GemmKernels& gemm, int64_t columns, int64_t depth, int64_t num_chunks)
      : units(ceil_div(depth, gemm.unit_elements)), chunks(num_chunks) {
    tile_floats = chunks * kGemmChunk * gemm.tile_rows * gemm.a_floats;
    tiles = std::clamp<int64_t>(kRowsFloats / std::max<int64_t>(1, tile_floats),
                                units > kGemmSegmentUnits ? kLongTiles : 1, kMaxTiles);
    panels = ceil_div(columns, gemm.panel_columns);
    const int64_t fitting = kPanelFloats / std::max<int64_t>(1, units * gemm.panel_columns);
    cut_columns(ceil_div(panels, std::max<int64_t>(4, fitting)));
  }
  void cut_columns(int64_t into) {
    panels_per_block = ceil_div(panels, std::clamp<int64_t>(into, 1, panels));
    blocks = ceil_div(panels, panels_per_block);
  }
};

struct RowsScratch {
  float *a, *b, *partials;

  RowsScratch(Arena& arena, const GemmKernels& gemm, const RowsPlan& plan, bool packs_b) {
    a = arena.allocate<float>(plan.tiles * plan.tile_floats);
    b = packs_b ? arena.allocate<float>(plan.panels_per_block * plan.units * gemm.panel_columns)
                : nullptr;
    partials =
        arena.allocate<float>(plan.tiles * kGemmPartialTiles * gemm.tile_rows * gemm.panel_columns);
  }
};

class RowsRun {
 public:
  RowsRun(const Context& context, const RowsProduct& product, Groups offsets)
      : p_(product),
        offsets_(offsets),
        gemm_(gemm_of(context.kernels, product.weight.dtype)),
        segments_(make_segments(context.scratch, p_.depth(), gemm_.unit_elements, p_.parts)),
        plan_(gemm_, p_.columns(), p_.depth(), num_chunks()) {
    make_tasks(context);
    workers_ = context.scratch.allocate<RowsScratch>(context.num_threads());
    for (int w = 0; w < context.num_threads(); ++w)
      new (workers_ + w) RowsScratch(context.scratch, gemm_, plan_, p_.use != WeightUse::kPacked);
    context.threads.parallel_for(list_.size, [&](int64_t task, int worker) {
      run_task(list_.tasks[task], workers_[worker]);
    });
  }

 private:
  int64_t num_chunks() const {
    const GemmSegment& last = segments_.back();
    return last.chunk + ceil_div(last.units, kGemmChunk);
  }

  void make_tasks(const Context& context) {
    const auto busy = busy_experts(context.scratch, offsets_);
    const int64_t experts = static_cast<int64_t>(busy.size());
    const int64_t wanted = context.num_threads() == 1 ? 1 : kTasksPerThread * context.num_threads();
    const int64_t rows = offsets_.back() - offsets_.front();
    // Few rows: the work is reading B, so only its columns can be shared out.
    if (experts * plan_.blocks < wanted && rows <= experts * kMinChunkRows)
      plan_.cut_columns(ceil_div(wanted, std::max<int64_t>(1, experts)));
    const int64_t chunk = std::max(kMinChunkRows, ceil_div(rows * plan_.blocks, wanted));
    list_.tasks = context.scratch.allocate<Task>((experts + rows / chunk) * plan_.blocks);
    for (const int32_t e : busy) {
      const int64_t first = offsets_[e], count = offsets_[e + 1] - first;
      const int64_t chunks = std::max<int64_t>(1, count / chunk);
      for (int64_t block = 0; block < plan_.blocks; ++block)
        for (int64_t i = 0; i < chunks; ++i)
          push_task(e, block, first + count * i / chunks, first + count * (i + 1) / chunks);
    }
  }

  void push_task(int32_t expert, int64_t block, int64_t row_begin, int64_t row_end) {
    const int64_t columns = plan_.panels_per_block * gemm_.panel_columns;
    list_.push({.expert = expert,
                .row_begin = static_cast<int32_t>(row_begin),
                .row_end = static_cast<int32_t>(row_end),
                .column_begin = static_cast<int32_t>(block * columns),
                .column_end = static_cast<int32_t>(std::min(p_.columns(), (block + 1) * columns))});
  }

  /// The panels of the task's columns, packed here unless the weight is.
  const float* panels(const Task& task, float* scratch) const {
    const Weight& w = p_.weight;
    const ProductMatrix matrix = {static_cast<char*>(const_cast<void*>(w.data)), w.k, w.dtype};
    const int columns = task.column_end - task.column_begin;
    const int depth = static_cast<int>(p_.depth());
    if (p_.use == WeightUse::kPacked)
      return static_cast<const float*>(w.data) +
             (task.expert * plan_.panels * gemm_.panel_columns + task.column_begin) * plan_.units;
    const int64_t first_row = task.expert * w.n;
    if (p_.use == WeightUse::kAsStored)
      gemm_.pack_b_columns(matrix.at(first_row, task.column_begin), w.k, columns, depth, scratch);
    else
      gemm_.pack_b_rows(matrix.at(first_row + task.column_begin, 0), w.k, columns, depth, scratch);
    return scratch;
  }

  void run_task(const Task& task, const RowsScratch& scratch) const {
    GemmBlock block = {.a_packed = scratch.a,
                       .b_packed = panels(task, scratch.b),
                       .columns = task.column_end - task.column_begin,
                       .units = static_cast<int>(plan_.units),
                       .chunks = static_cast<int>(plan_.chunks),
                       .segments = segments_.data(),
                       .num_segments = static_cast<int>(segments_.size()),
                       .partials = scratch.partials,
                       .c_stride = p_.c.stride,
                       .c_is_bf16 = p_.c.dtype == DType::kBF16,
                       .accumulate = p_.accumulate,
                       .bias = p_.bias ? p_.bias + task.column_begin : nullptr};
    block.next_stride_bytes = p_.a.at(1, 0) - p_.a.at(0, 0);
    block.next_row_bytes = p_.a.at(0, p_.depth()) - p_.a.at(0, 0);
    const int64_t rows = task.row_end - task.row_begin;
    const int64_t pieces = ceil_div(rows, plan_.tiles * gemm_.tile_rows);
    for (int64_t i = 0; i < pieces; ++i) {
      const int64_t begin = task.row_begin + rows * i / pieces;
      block.rows = static_cast<int>(task.row_begin + rows * (i + 1) / pieces - begin);
      gemm_.pack_a_rows(p_.a.at(begin, 0), p_.a.stride, block.rows, static_cast<int>(p_.depth()),
                        segments_.data(), block.num_segments, scratch.a);
      block.c = p_.c.at(begin, task.column_begin);
      block.next_rows = i + 1 < pieces ? p_.a.at(begin + block.rows, 0) : nullptr;
      gemm_.multiply(block);
    }
  }

  const RowsProduct& p_;
  const Groups offsets_;
  const GemmKernels& gemm_;
  const std::span<GemmSegment> segments_;
  RowsPlan plan_;
  TaskList list_;
  RowsScratch* workers_ = nullptr;
};

constexpr int64_t kDepthPanels = 4;  // of B at a time: 256 KiB

/// How C of every group is cut into tasks.
struct DepthPlan {
  int64_t row_blocks, column_blocks;

  DepthPlan(const GemmKernels& gemm, int64_t rows, int64_t columns, int64_t wanted) {
    row_blocks = ceil_div(rows, kMaxTiles * gemm.tile_rows);
    const int64_t panels = ceil_div(columns, gemm.panel_columns);
    column_blocks =
        std::clamp<int64_t>(ceil_div(wanted, row_blocks), 1, ceil_div(panels, kDepthPanels));
  }
};

struct DepthScratch {
  float *a, *b;

  DepthScratch(Arena& arena, const GemmKernels& gemm) {
    a = arena.allocate<float>(kMaxTiles * gemm.tile_rows * gemm.a_floats * kGemmSegmentUnits);
    b = arena.allocate<float>(kDepthPanels * gemm.panel_columns * kGemmSegmentUnits);
  }
};

class DepthRun {
 public:
  DepthRun(const Context& context, const DepthProduct& product, Groups offsets)
      : p_(product), offsets_(offsets), gemm_(gemm_of(context.kernels, product.a.dtype)) {
    make_tasks(context);
    auto* workers = context.scratch.allocate<DepthScratch>(context.num_threads());
    for (int w = 0; w < context.num_threads(); ++w)
      new (workers + w) DepthScratch(context.scratch, gemm_);
    context.threads.parallel_for(list_.size, [&](int64_t task, int worker) {
      run_task(list_.tasks[task], workers[worker]);
    });
  }

 private:
  void make_tasks(const Context& context) {
    const auto busy = busy_experts(context.scratch, offsets_);
    const int64_t experts = static_cast<int64_t>(busy.size());
    const int64_t wanted = context.num_threads() == 1 ? 1 : kTasksPerThread * context.num_threads();
    const DepthPlan plan(gemm_, p_.rows, p_.columns,
                         ceil_div(wanted, std::max<int64_t>(1, experts)));
    list_.tasks = context.scratch.allocate<Task>(experts * plan.row_blocks * plan.column_blocks);
    const int64_t columns = round_up(ceil_div(p_.columns, plan.column_blocks), gemm_.panel_columns);
    for (const int32_t e : busy)
      for (int64_t i = 0; i < plan.row_blocks; ++i)
        for (int64_t column = 0; column < p_.columns; column += columns)
          list_.push({.expert = e,
                      .row_begin = static_cast<int32_t>(p_.rows * i / plan.row_blocks),
                      .row_end = static_cast<int32_t>(p_.rows * (i + 1) / plan.row_blocks),
                      .column_begin = static_cast<int32_t>(column),
                      .column_end = static_cast<int32_t>(std::min(p_.columns, column + columns))});
  }

  void run_task(const Task& task, const DepthScratch& scratch) const {
    const int64_t longest = int64_t{kGemmSegmentUnits} * gemm_.unit_elements;
    for (int64_t begin = offsets_[task.expert], end = offsets_[task.expert + 1]; begin < end;
         begin += longest)
      run_segment(task, scratch, begin, static_cast<int>(std::min(longest, end - begin)));
  }

  void run_segment(const Task& task, const DepthScratch& scratch, int64_t begin, int depth) const {
    const int units = static_cast<int>(ceil_div(depth, gemm_.unit_elements));
    const GemmSegment segment = {.units = units, .ends_part = true, .last = true};
    GemmBlock block = {.a_packed = scratch.a,
                       .b_packed = scratch.b,
                       .rows = task.row_end - task.row_begin,
                       .units = units,
                       .chunks = static_cast<int>(ceil_div(units, kGemmChunk)),
                       .segments = &segment,
                       .num_segments = 1,
                       .c_stride = p_.columns,
                       .accumulate = true};
    gemm_.pack_a_columns(p_.a.at(begin, task.row_begin), p_.a.stride, block.rows, depth, scratch.a);
    const int step = static_cast<int>(kDepthPanels) * gemm_.panel_columns;
    for (int column = task.column_begin; column < task.column_end; column += step) {
      block.columns = std::min(step, task.column_end - column);
      gemm_.pack_b_columns(p_.b.at(begin, column), p_.b.stride, block.columns, depth, scratch.b);
      block.c = p_.c + (task.expert * p_.rows + task.row_begin) * p_.columns + column;
      gemm_.multiply(block);
    }
  }

  const DepthProduct& p_;
  const Groups offsets_;
  const GemmKernels& gemm_;
  TaskList list_;
};

size_t padded(int64_t count, size_t size) {
  return Arena::padded(static_cast<size_t>(count) * size);
}

}  // namespace

const GemmKernels& gemm_of(const kernels::Table& table, DType dtype) {
  return dtype == DType::kBF16 ? table.gemm_bf16 : table.gemm_f32;
}

void run(const Context& context, const RowsProduct& product, Groups offsets) {
  const ArenaScope scope(context.scratch);
  if (offsets.back() > offsets.front() && product.columns() > 0) RowsRun(context, product, offsets);
}

void run(const Context& context, const DepthProduct& product, Groups offsets) {
  const ArenaScope scope(context.scratch);
  if (offsets.back() > offsets.front() && product.rows > 0 && product.columns > 0)
    DepthRun(context, product, offsets);
}

size_t rows_product_scratch(const Context& context, int64_t experts, int64_t columns,
                            int64_t depth) {
  const int64_t threads = context.num_threads(), segments = max_segments(depth, /*parts=*/8);
  size_t most = 0;
  for (const GemmKernels* gemm : {&context.kernels.gemm_f32, &context.kernels.gemm_bf16}) {
    const int64_t chunks = ceil_div(depth, gemm->unit_elements * kGemmChunk) + segments;
    const RowsPlan plan(*gemm, std::max<int64_t>(1, columns), depth, chunks);
    const size_t worker =
        padded(std::max(kLongTiles * plan.tile_floats, kRowsFloats), 4) +
        padded(plan.panels_per_block * plan.units * gemm->panel_columns, 4) +
        padded(kMaxTiles * kGemmPartialTiles * gemm->tile_rows * gemm->panel_columns, 4);
    const int64_t tasks = (experts + kTasksPerThread * threads) * plan.panels;
    most = std::max(most, padded(segments, sizeof(GemmSegment)) + padded(experts, 4) +
                              padded(tasks, sizeof(Task)) + padded(threads, sizeof(RowsScratch)) +
                              static_cast<size_t>(threads) * worker);
  }
  return most;
}

size_t depth_product_scratch(const Context& context, int64_t experts, int64_t rows,
                             int64_t columns) {
  const int64_t threads = context.num_threads();
  size_t most = 0;
  for (const GemmKernels* gemm : {&context.kernels.gemm_f32, &context.kernels.gemm_bf16}) {
    const int64_t blocks = ceil_div(std::max<int64_t>(1, rows), kMaxTiles * gemm->tile_rows) *
                           ceil_div(std::max<int64_t>(1, columns), gemm->panel_columns);
    const size_t worker =
        padded(kMaxTiles * gemm->tile_rows * gemm->a_floats * kGemmSegmentUnits, 4) +
        padded(kDepthPanels * gemm->panel_columns * kGemmSegmentUnits, 4);
    most = std::max(most, padded(experts, 4) + padded(experts * blocks, sizeof(Task)) +
                              padded(threads, sizeof(DepthScratch)) +
                              static_cast<size_t>(threads) * worker);
  }
  return most;
}

}  // namespace moge
