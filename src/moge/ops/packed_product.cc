#include "moge/ops/packed_product.h"

#include <algorithm>

#include "moge/core/integers.h"
#include "moge/ops/product_segments.h"
#include "moge/ops/product_tasks.h"
#include "moge/ops/task_ranges.h"

namespace moge {

using kernels::GemmBlock;
using kernels::GemmKernels;
using kernels::GemmSegment;
using kernels::kGemmChunk;
using kernels::kGemmPartialTiles;
using kernels::kGemmSegmentUnits;

namespace {

// A worker's second-level cache (1 or 2 MiB) holds packed rows, the sums of a part of K that they
// wait for, and the panels that are multiplied and fetched.
constexpr int64_t kRowsFloats = 128 << 10;
constexpr int64_t kSumsFloats = 128 << 10;
constexpr int64_t kPanelsFloats = 256 << 10;  // read again by the next rows
constexpr int64_t kMaxTiles = 40;             // of packed rows
constexpr int64_t kWholeTiles = 8;  // so many with all of K: reading weights again costs nothing
constexpr int64_t kCutTiles = 4;    // at least, however long K
constexpr int64_t kCutPanels = 4;
constexpr int64_t kPayingPanels = 8;  // fewer do not pay for packing rows
// Few rows: the work is reading weights, so tasks are even pieces of memory.
constexpr int64_t kFewRowsBytes = 320 << 10;

int64_t tile_sums(const GemmKernels& gemm) { return gemm.tile_rows * gemm.panel_columns; }
int64_t chunk_floats(const GemmKernels& gemm) {
  return kGemmChunk * gemm.tile_rows * gemm.a_floats;
}

int64_t chunks_of(std::span<const GemmSegment> segments) {
  const GemmSegment& last = segments.back();
  return last.chunk - segments.front().chunk + ceil_div(last.units, kGemmChunk);
}
/// More than those of any block of K, and of K as a whole.
int64_t most_block_chunks() { return ceil_div(kGemmSegmentUnits, kGemmChunk) + 9; }
int64_t most_chunks(const GemmKernels& gemm, int64_t k) {
  return ceil_div(k, gemm.unit_elements * kGemmChunk) + max_segments(k, /*parts=*/8);
}

/// Where segments are cut into blocks of at most kGemmSegmentUnits.
std::span<int32_t> cut_k(Arena& arena, std::span<const GemmSegment> segments) {
  auto* blocks = arena.allocate<int32_t>(static_cast<int64_t>(segments.size()) + 1);
  size_t count = 0;
  for (size_t s = 0, units = 0; s < segments.size(); ++s) {
    const auto more = static_cast<size_t>(segments[s].units);
    if (s == 0 || units + more > kGemmSegmentUnits)
      blocks[count++] = static_cast<int32_t>(s), units = 0;
    units += more;
  }
  blocks[count++] = static_cast<int32_t>(segments.size());
  return {blocks, count};
}

int64_t most_rows(Groups offsets) {
  int64_t most = 0;
  for (size_t e = 0; e + 1 < offsets.size(); ++e)
    most = std::max<int64_t>(most, offsets[e + 1] - offsets[e]);
  return most;
}

/// Rows packed for all of K at once, where enough of them fit; else block by block.
void choose_rows(PackedPlan& plan, int64_t tiles, int parts) {
  const GemmKernels& gemm = *plan.gemm;
  const int64_t whole = std::max<int64_t>(1, chunks_of(plan.segments)) * chunk_floats(gemm);
  tiles = std::clamp<int64_t>(tiles, 1, kMaxTiles);
  if (tiles == 1 || kRowsFloats / whole >= std::min(tiles, kWholeTiles)) {
    plan.blocks[1] = plan.blocks.back();
    plan.blocks = plan.blocks.first(2);
    plan.tile_floats = whole;
    plan.row_tiles = std::min(tiles, std::max<int64_t>(1, kRowsFloats / whole));
    plan.block_panels =
        std::max(kPayingPanels, kPanelsFloats / std::max<int64_t>(1, plan.panel_floats));
    return;
  }
  for (size_t i = 0; i + 1 < plan.blocks.size(); ++i) {
    const auto first = static_cast<size_t>(plan.blocks[i]);
    const auto count = static_cast<size_t>(plan.blocks[i + 1]) - first;
    const int64_t chunks = chunks_of(plan.segments.subspan(first, count));
    plan.tile_floats = std::max(plan.tile_floats, chunks * chunk_floats(gemm));
  }
  plan.row_tiles = std::min(tiles, std::max(kCutTiles, kRowsFloats / plan.tile_floats));
  const int64_t kept = tile_sums(gemm) * (parts > 1 ? 3 : 1);
  plan.block_panels = std::max(kCutPanels, kSumsFloats / (kept * plan.row_tiles));
}

}  // namespace

PackedProduct plan_product(const Context& context, PackedProduct p) {
  PackedPlan& plan = p.plan;
  plan.gemm = &gemm_of(context.kernels, p.weight.dtype);
  const GemmKernels& gemm = *plan.gemm;
  plan.segments = make_segments(context.scratch, p.weight.k, gemm.unit_elements, p.parts);
  plan.blocks = cut_k(context.scratch, plan.segments);
  plan.width = p.swiglu ? gemm.panel_columns / 2 : gemm.panel_columns;
  plan.panels = ceil_div(p.columns(), plan.width);
  plan.panel_floats = ceil_div(p.weight.k, gemm.unit_elements) * gemm.panel_columns;
  choose_rows(plan, ceil_div(most_rows(p.offsets), gemm.tile_rows), p.parts);
  return p;
}

size_t packed_plan_scratch(int64_t k) {
  const int64_t segments = max_segments(k, /*parts=*/8);
  return padded_bytes(segments, sizeof(GemmSegment)) + padded_bytes(segments + 1, 4);
}

namespace {
int64_t a_floats(const GemmKernels& gemm, int64_t k) {
  return std::max({kRowsFloats, most_chunks(gemm, k) * chunk_floats(gemm),
                   kCutTiles * most_block_chunks() * chunk_floats(gemm)});
}
int64_t partial_floats(const GemmKernels& gemm) {
  return kGemmPartialTiles * std::max(kSumsFloats, kCutPanels * kMaxTiles * tile_sums(gemm));
}
}  // namespace

PackedScratch::PackedScratch(Arena& arena, const GemmKernels& gemm, int64_t k)
    : a(arena.allocate<float>(a_floats(gemm, k))),
      partials(arena.allocate<float>(partial_floats(gemm))) {}

size_t PackedScratch::bytes(const GemmKernels& gemm, int64_t k) {
  return padded_bytes(a_floats(gemm, k), 4) + padded_bytes(partial_floats(gemm), 4);
}

GmmCut cut_of(const Context& context, const PackedProduct& p) {
  const PackedPlan& plan = p.plan;
  GmmCut cut;
  cut.offsets = p.offsets;
  cut.panels = plan.panels;
  cut.panel_bytes = p.panel_bytes();
  int64_t busy = 0;
  for (size_t e = 0; e + 1 < p.offsets.size(); ++e) busy += p.offsets[e + 1] > p.offsets[e];
  const int64_t shared = plan.panels * busy / (2 * wanted_tasks(context));
  const bool few = plan.row_tiles == 1;
  const int64_t fitting =
      few ? std::min(shared, kFewRowsBytes / std::max<int64_t>(1, p.panel_bytes()))
          : std::max(shared, kPayingPanels);
  cut.panels_per_slice = std::clamp<int64_t>(fitting, 1, std::max<int64_t>(1, plan.panels));
  return cut;
}

namespace {

/// A block of packed rows times some panels.
struct Step {
  int32_t expert;
  int64_t row_begin, row_end, panel_begin, panel_end;
  int32_t segment_begin, segment_end;
};

/// A task's steps in the order in which they run.
class Steps {
 public:
  Steps(const PackedPlan& plan, const GmmTask& task)
      : plan_(plan),
        task_(task),
        blocks_(static_cast<int64_t>(plan.blocks.size()) - 1),
        pieces_(ceil_div(task.row_end - task.row_begin, plan.block_rows())) {
    const int64_t panels = task.panel_end - task.panel_begin;
    runs_ = blocks_ * pieces_ == 1 ? 1 : ceil_div(panels, plan.block_panels);
  }
  int64_t size() const { return blocks_ * pieces_ * runs_; }
  Step operator[](int64_t i) const {
    const int64_t block = i % blocks_, piece = i / blocks_ % pieces_, run = i / blocks_ / pieces_;
    const auto part = [](int64_t begin, int64_t end, int64_t i, int64_t n) {
      return begin + (end - begin) * i / n;
    };
    return {.expert = task_.expert,
            .row_begin = part(task_.row_begin, task_.row_end, piece, pieces_),
            .row_end = part(task_.row_begin, task_.row_end, piece + 1, pieces_),
            .panel_begin = part(task_.panel_begin, task_.panel_end, run, runs_),
            .panel_end = part(task_.panel_begin, task_.panel_end, run + 1, runs_),
            .segment_begin = plan_.blocks[static_cast<size_t>(block)],
            .segment_end = plan_.blocks[static_cast<size_t>(block) + 1]};
  }

 private:
  const PackedPlan& plan_;
  const GmmTask& task_;
  int64_t blocks_, pieces_, runs_;
};

const GemmSegment& segment(const PackedPlan& plan, int32_t i) {
  return plan.segments[static_cast<size_t>(i)];
}

const float* panels_at(const PackedProduct& p, const Step& at) {
  const PackedPlan& plan = p.plan;
  return static_cast<const float*>(p.weight.data) +
         (at.expert * plan.panels + at.panel_begin) * plan.panel_floats;
}

/// Elements [begin, end) of K that a step packs.
kernels::GemmNextRows rows_of(const PackedProduct& p, const Step& at) {
  const GemmSegment& last = segment(p.plan, at.segment_end - 1);
  const int64_t unit = p.plan.gemm->unit_elements;
  const int64_t begin = segment(p.plan, at.segment_begin).begin * unit;
  const int64_t end = std::min(p.weight.k, (last.begin + last.units) * unit);
  return p.x.next(at.row_begin, at.row_end - at.row_begin, begin,
                  std::max<int64_t>(0, end - begin));
}

/// The rows of a step in scratch.a, unless they are there already.
void pack_rows(const PackedProduct& p, const Step& at, PackedScratch& scratch) {
  if (scratch.product == &p && scratch.expert == at.expert && scratch.segment == at.segment_begin &&
      scratch.row_begin == at.row_begin && scratch.row_end == at.row_end)
    return;
  scratch.product = &p;
  scratch.expert = at.expert, scratch.segment = at.segment_begin;
  scratch.row_begin = at.row_begin, scratch.row_end = at.row_end;
  p.plan.gemm->pack_a_rows(p.x.rows_at(at.row_begin, 0), p.x.stride, p.x.index_at(at.row_begin),
                           static_cast<int>(at.row_end - at.row_begin),
                           static_cast<int>(p.weight.k), &segment(p.plan, at.segment_begin),
                           at.segment_end - at.segment_begin, scratch.a);
}

/// `next`: the step that follows, or null.
void run_step(const PackedProduct& p, const Step& at, const Step* next, PackedScratch& scratch) {
  const PackedPlan& plan = p.plan;
  const int64_t column = at.panel_begin * plan.width;
  const auto count = static_cast<size_t>(at.segment_end - at.segment_begin);
  const auto segments = plan.segments.subspan(static_cast<size_t>(at.segment_begin), count);
  GemmBlock block = {
      .a_packed = scratch.a,
      .b_packed = panels_at(p, at),
      .rows = static_cast<int>(at.row_end - at.row_begin),
      .columns = static_cast<int>(std::min(p.columns(), at.panel_end * plan.width) - column),
      .units = static_cast<int>(plan.panel_floats / plan.gemm->panel_columns),
      .chunks = static_cast<int>(chunks_of(segments)),
      .segments = segments.data(),
      .num_segments = static_cast<int>(count),
      .partials = scratch.partials,
      .panel_partials = plan.cuts_k(),
      .c = p.y.at(at.row_begin, column),
      .c_stride = p.y.stride,
      .c_is_bf16 = p.y.dtype == DType::kBF16,
      .swiglu = p.swiglu,
      .accumulate = p.accumulate,
      .bias = p.bias ? p.bias + column : nullptr,
      .b_streams = true};
  if (next) {
    block.next = rows_of(p, *next);
    block.next_b = panels_at(p, *next) +
                   int64_t{segment(plan, next->segment_begin).begin} * plan.gemm->panel_columns;
  }
  pack_rows(p, at, scratch);
  plan.gemm->multiply(block);
}

}  // namespace

void run_task(const PackedProduct& p, const GmmTask& task, const GmmTask* next,
              PackedScratch& scratch) {
  const Steps steps(p.plan, task);
  Step at = steps[0];
  for (int64_t i = 0; i < steps.size(); ++i) {
    const bool ends = i + 1 == steps.size();
    const Step following = !ends ? steps[i + 1] : next ? Steps(p.plan, *next)[0] : at;
    run_step(p, at, ends && !next ? nullptr : &following, scratch);
    at = following;
  }
}

void run(const Context& context, const PackedProduct& product) {
  if (product.offsets.back() == product.offsets.front() || product.columns() == 0) return;
  const ArenaScope scope(context.scratch);
  const PackedProduct p = plan_product(context, product);
  const auto tasks = make_tasks(context, cut_of(context, p)).tasks;
  const auto count = static_cast<int64_t>(tasks.size());
  TaskRanges ranges(context, count, [&](int64_t i) {
    return cost_of(tasks[static_cast<size_t>(i)], p.panel_bytes());
  });
  auto* scratch = context.scratch.allocate<PackedScratch>(context.num_threads());
  for (int w = 0; w < context.num_threads(); ++w)
    new (scratch + w) PackedScratch(context.scratch, *p.plan.gemm, p.weight.k);
  ranges.run([&](int64_t i, int worker) {
    const GmmTask* task = &tasks[static_cast<size_t>(i)];
    run_task(p, *task, i + 1 < count ? task + 1 : nullptr, scratch[worker]);
  });
}

size_t packed_product_scratch(const Context& context, int64_t experts, int64_t n, int64_t k) {
  size_t most = 0;
  for (const GemmKernels* gemm : {&context.kernels.gemm_f32, &context.kernels.gemm_bf16}) {
    const int64_t threads = context.num_threads();
    const int64_t panels = ceil_div(n, gemm->panel_columns / 2);
    most = std::max(most, make_tasks_scratch(context, experts, panels) +
                              TaskRanges::bytes(context.num_threads()) +
                              padded_bytes(threads, sizeof(PackedScratch)) +
                              static_cast<size_t>(threads) * PackedScratch::bytes(*gemm, k));
  }
  return most + packed_plan_scratch(k);
}

}  // namespace moge
