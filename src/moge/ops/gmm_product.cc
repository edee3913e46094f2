#include "moge/ops/gmm_product.h"

#include <algorithm>

#include "moge/core/integers.h"
#include "moge/ops/task_ranges.h"
#include "moge/runtime/topology.h"

namespace moge {

using kernels::GmmBlock;
using kernels::GmmKernels;
using kernels::GmmStore;
using kernels::kGmmHalf;
using kernels::kGmmPanel;

namespace {

constexpr int64_t kMinTiles = 4;  // of a block of rows
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kMinChunkRows = 128;  // fewer rows do not pay for reading the weights again
constexpr int64_t kReadingRows = 8;     // fewer rows cost as much: the time to read the weights

int64_t panels_of(const Weight& w) {
  return w.paired ? ceil_div(w.n / 2, kGmmHalf) : ceil_div(w.n, kGmmPanel);
}

int64_t wanted_tasks(const Context& context) {
  return context.num_threads() == 1 ? 1 : kTasksPerThread * context.num_threads();
}
/// Where rows are cut there are at most as many chunks as tasks are wanted.
int64_t most_tasks(const Context& context, int64_t experts, int64_t panels) {
  return experts * panels + wanted_tasks(context);
}

/// Few rows: the work is reading weights, so tasks are even pieces of memory. More rows: a block of
/// packed rows stays in a worker's second-level cache while panels pass by, each fetched during the
/// one before: packing rows for every few panels costs 5 % and more.
TileSizes built_in(const GmmKernels& gmm, int64_t rows) {
  const int64_t half_cache = topology().second_level_cache_bytes >> 11;  // KiB
  const int64_t block = half_cache == 0 ? 512 : std::clamp<int64_t>(half_cache, 256, kMostBlockKb);
  return {rows <= gmm.tile_rows ? kTileCandidates.front().slice_kb : kWholeExpert,
          static_cast<uint16_t>(block)};
}

TileSizes sizes_for(const GmmKernels& gmm, const Weight& w, int64_t rows) {
  const TileSizes chosen = w.tiles[static_cast<size_t>(tile_bucket(rows))];
  return chosen == TileSizes{} ? built_in(gmm, rows) : chosen;
}

int64_t rows_per_block(const GmmKernels& gmm, int64_t k, int64_t block_kb) {
  const int64_t tile =
      std::max<int64_t>(64, gmm.tile_rows * kernels::gmm_row_bytes(gmm.row_factor, k));
  return gmm.tile_rows * std::max((block_kb << 10) / tile, kMinTiles);
}

}  // namespace

int64_t GmmProduct::num_panels() const { return panels_of(weight); }

GmmScratch::GmmScratch(Arena& arena, const GmmKernels& gmm, int64_t rows, int64_t k) {
  rows = std::min(rows, rows_per_block(gmm, k, kMostBlockKb));
  this->rows =
      arena.allocate(static_cast<size_t>(kernels::gmm_packed_rows_bytes(gmm.row_factor, rows, k)));
  unpacked = arena.allocate<uint8_t>(kernels::gmm_units(k) * kernels::kGmmUnitBytes8);
}

size_t GmmScratch::bytes(const GmmKernels& gmm, int64_t rows, int64_t k) {
  rows = std::min(rows, rows_per_block(gmm, k, kMostBlockKb));
  return Arena::padded(
             static_cast<size_t>(kernels::gmm_packed_rows_bytes(gmm.row_factor, rows, k))) +
         Arena::padded(static_cast<size_t>(kernels::gmm_units(k) * kernels::kGmmUnitBytes8));
}

GmmCut::GmmCut(const Context& context, Groups offsets, int64_t panels, int64_t panel_bytes,
               int64_t slice_bytes)
    : offsets(offsets), panels(panels), panel_bytes(panel_bytes) {
  int64_t busy = 0;
  for (size_t e = 0; e + 1 < offsets.size(); ++e) busy += offsets[e + 1] > offsets[e];
  const int64_t fitting = slice_bytes / std::max<int64_t>(1, panel_bytes);
  const int64_t shared = panels * busy / wanted_tasks(context);  // enough slices for all threads
  panels_per_slice =
      std::clamp<int64_t>(std::min(fitting, shared), 1, std::max<int64_t>(1, panels));
}

GmmTasks make_tasks(const Context& context, const GmmCut& cut) {
  const auto experts = static_cast<int64_t>(cut.offsets.size()) - 1;
  const int64_t slices = cut.slices(), wanted = wanted_tasks(context);
  int64_t busy = 0;
  for (int64_t e = 0; e < experts; ++e) busy += cut.offsets[e + 1] > cut.offsets[e];
  auto* tasks = context.scratch.allocate<GmmTask>(most_tasks(context, experts, cut.panels));
  GmmTasks made;
  size_t count = 0;
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t first = cut.offsets[e], rows = cut.offsets[e + 1] - first;
    if (rows == 0) continue;
    const int64_t chunks = std::clamp<int64_t>(wanted / std::max<int64_t>(1, busy * slices), 1,
                                               std::max<int64_t>(1, rows / kMinChunkRows));
    for (int64_t c = 0; c < chunks; ++c, ++made.num_rows_ids)
      for (int64_t s = 0; s < slices; ++s)
        tasks[count++] = {
            .expert = static_cast<int32_t>(e),
            .row_begin = static_cast<int32_t>(first + rows * c / chunks),
            .row_end = static_cast<int32_t>(first + rows * (c + 1) / chunks),
            .panel_begin = static_cast<int32_t>(s * cut.panels_per_slice),
            .panel_end = static_cast<int32_t>(std::min(cut.panels, (s + 1) * cut.panels_per_slice)),
            .rows_id = static_cast<int32_t>(made.num_rows_ids),
            .slice = static_cast<int32_t>(s)};
  }
  made.tasks = {tasks, count};
  return made;
}

size_t make_tasks_scratch(const Context& context, int64_t experts, int64_t panels) {
  return Arena::padded(static_cast<size_t>(most_tasks(context, experts, panels)) * sizeof(GmmTask));
}

int64_t cost_of(const GmmTask& task, int64_t panel_bytes) {
  return std::max<int64_t>(kReadingRows, task.row_end - task.row_begin) *
             (task.panel_end - task.panel_begin) * panel_bytes / 4096 +
         1;
}

GmmCut cut_of(const Context& context, const GmmProduct& p) {
  int64_t most_rows = 0;
  for (size_t e = 0; e + 1 < p.offsets.size(); ++e)
    most_rows = std::max<int64_t>(most_rows, p.offsets[e + 1] - p.offsets[e]);
  const int64_t slice_kb = sizes_for(context.kernels.gmm, p.weight, most_rows).slice_kb;
  return GmmCut(context, p.offsets, p.num_panels(), p.panel_bytes(),
                slice_kb == kWholeExpert ? INT64_MAX : slice_kb << 10);
}

namespace {
const uint8_t* panels_at(const GmmProduct& p, int64_t expert, int64_t panel) {
  return static_cast<const uint8_t*>(p.weight.data) +
         (expert * p.num_panels() + panel) * p.panel_bytes();
}

kernels::GmmRows rows_of(const GmmProduct& p, int64_t begin, int64_t end) {
  const int64_t x_row = p.index ? 0 : begin;
  return {.values = p.x.values + x_row * p.x.stride,
          .stride = p.x.stride,
          .scales = p.x.scales + x_row,
          .sums = p.x.sums + x_row * kernels::gmm_groups(p.weight.k),
          .index = p.index ? p.index + begin : nullptr,
          .rows = static_cast<int>(end - begin),
          .k = p.weight.k,
          .int4 = p.int4()};
}

/// Bytes of an element of y.
int64_t element(const GmmProduct& p) { return p.store == GmmStore::kBF16 ? 2 : 4; }
}  // namespace

void run_task(const GmmKernels& gmm, const GmmProduct& p, const GmmTask& task, const GmmTask* next,
              const GmmScratch& scratch) {
  const Weight& w = p.weight;
  const int64_t width = w.paired ? kGmmHalf : kGmmPanel, column = task.panel_begin * width;
  const int64_t all = w.paired ? w.n / 2 : w.n;
  const int64_t rows = task.row_end - task.row_begin;
  const int64_t pieces = ceil_div(rows, rows_per_block(gmm, w.k, sizes_for(gmm, w, rows).block_kb));
  GmmBlock block = {.rows_packed = scratch.rows,
                    .k = w.k,
                    .int4 = p.int4(),
                    .panels = panels_at(p, task.expert, task.panel_begin),
                    .num_panels = task.panel_end - task.panel_begin,
                    .unpacked = scratch.unpacked,
                    .store = p.store,
                    .y_stride = p.y_stride,
                    .paired = w.paired,
                    .columns = static_cast<int>(std::min(all, task.panel_end * width) - column),
                    .high = static_cast<int>(w.paired ? w.n / 2 : kGmmHalf),
                    .bias = p.bias ? p.bias + column : nullptr,
                    .accumulate = p.accumulate};
  const auto piece = [&](int64_t i) { return task.row_begin + rows * i / pieces; };
  for (int64_t i = 0; i < pieces; ++i) {
    const bool last = i + 1 == pieces;
    const int64_t end = piece(i + 1);
    const auto rows_now = rows_of(p, piece(i), end);
    gmm.pack_rows(rows_now, scratch.rows);
    block.rows = rows_now.rows;
    block.y = static_cast<char*>(p.y) + (piece(i) * p.y_stride + column) * element(p);
    block.next = !last  ? block.panels
                 : next ? panels_at(p, next->expert, next->panel_begin)
                        : nullptr;
    const GmmTask& then = last && next ? *next : task;
    const int64_t begin = last ? then.row_begin : end;
    const auto rows_next = rows_of(p, begin, std::min<int64_t>(then.row_end, begin + block.rows));
    block.next_rows = begin == task.row_begin ? nullptr : &rows_next;
    gmm.multiply(block);
  }
}

void run(const Context& context, const GmmProduct& p) {
  const ArenaScope scope(context.scratch);
  const GmmKernels& gmm = context.kernels.gmm;
  if (p.offsets.back() == p.offsets.front() || p.num_panels() == 0) return;
  const auto tasks = make_tasks(context, cut_of(context, p)).tasks;
  TaskRanges ranges(context, static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    return cost_of(tasks[static_cast<size_t>(i)], p.panel_bytes());
  });
  auto* scratch = context.scratch.allocate<GmmScratch>(context.num_threads());
  for (int w = 0; w < context.num_threads(); ++w)
    new (scratch + w) GmmScratch(context.scratch, gmm, p.offsets.back(), p.weight.k);
  ranges.run([&](int64_t task, int worker) {
    const GmmTask* at = &tasks[static_cast<size_t>(task)];
    run_task(gmm, p, *at, at + 1 < tasks.data() + tasks.size() ? at + 1 : nullptr, scratch[worker]);
  });
}

size_t gmm_product_scratch(const Context& context, int64_t rows, int64_t experts, int64_t n,
                           int64_t k) {
  const int64_t threads = context.num_threads(), panels = ceil_div(n, kGmmHalf);
  return make_tasks_scratch(context, experts, panels) + TaskRanges::bytes(context.num_threads()) +
         Arena::padded(static_cast<size_t>(threads) * sizeof(GmmScratch)) +
         static_cast<size_t>(threads) * GmmScratch::bytes(context.kernels.gmm, rows, k);
}

}  // namespace moge
