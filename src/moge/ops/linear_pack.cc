// Packed weights made range by range (layouts: kernels/gmm.h, kernels/gemm.h).
#include <algorithm>
#include <cstring>

#include "moge/kernels/gmm.h"
#include "moge/ops/linear_checks.h"
#include "moge/ops/product.h"

namespace moge {

namespace {

using namespace kernels;  // NOLINT: the layout's constants and functions

/// Panels of one expert: `columns` channel slots, the upper half of them at `half`.
struct Panels {
  int64_t columns, half, count, bytes;  // bytes of one panel

  Panels(const kernels::Table& table, const Weight& w) {
    const GemmKernels& gemm = gemm_of(table, w.dtype);
    columns = w.quantized() ? kGmmPanel : gemm.panel_columns;
    half = columns / 2;
    count = w.paired ? (w.n / 2 + half - 1) / half : (w.n + columns - 1) / columns;
    bytes = w.quantized() ? gmm_panel_bytes(w.format == WeightFormat::kW4A8, w.k)
                          : (w.k + gemm.unit_elements - 1) / gemm.unit_elements * columns * 4;
  }
};

void check_range(const char* op, const Weight& w, WeightFormat format, int64_t expert,
                 int64_t first_row, int64_t rows) {
  check(w.format == format, "[{}] the weight has another format than these rows", op);
  check(w.experts >= 1 && std::max(w.n, w.k) <= kMaxLinearSize,
        "[{}] weight of {} experts, {} x {} is out of range", op, w.experts, w.n, w.k);
  check(!w.paired || w.n % 2 == 0, "[{}] {} paired channels, want an even number", op, w.n);
  check(expert >= 0 && expert < w.experts, "[{}] expert {} is outside [0, {})", op, expert,
        w.experts);
  check(first_row >= 0 && rows >= 0 && first_row + rows <= w.n,
        "[{}] rows {} to {} are outside [0, {})", op, first_row, first_row + rows, w.n);
}

/// Rows of a range that lie in neighbouring slots of one panel.
struct Run {
  int64_t row, count;
  uint8_t* panel;
  int slot;
};

/// Calls write(run) until all rows are written. A task has a panel of its own: halves of a paired
/// one share the bytes of 4-bit weights.
template <class Write>
void for_runs(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
              int64_t rows, void* target, Write write) {
  if (rows == 0) return;
  const Panels panels(context.kernels, w);
  auto* base = static_cast<uint8_t*>(target) + expert * panels.count * panels.bytes;
  const int64_t end_row = first_row + rows;
  const int64_t series = w.paired ? 2 : 1;  // of panels: gate's rows, then up's
  const int64_t length = w.n / series, width = panels.columns / series;
  const bool one_series = first_row / length == (end_row - 1) / length;
  const int64_t first = one_series ? first_row % length / width : 0;
  const int64_t last = one_series ? (end_row - 1) % length / width : panels.count - 1;
  context.threads.parallel_for(last - first + 1, [&](int64_t task, int) {
    const int64_t panel = first + task;
    for (int64_t i = 0; i < series; ++i) {
      const int64_t slot0 = i * length + panel * width;  // the row of the first slot
      const int64_t begin = std::max(first_row, slot0);
      const int64_t end = std::min({end_row, slot0 + width, (i + 1) * length});
      if (begin >= end) continue;
      write(Run{.row = begin - first_row,
                .count = end - begin,
                .panel = base + panel * panels.bytes,
                .slot = static_cast<int>(i * width + begin - slot0)});
    }
  });
}

/// Panels are written from front to back, whatever number of rows at a time: one row after another
/// would go over a panel's lines 16 times.
void write_int8(const Int8Rows& source, int64_t k, const Run& run) {
  const int8_t* values = source.values_NK + run.row * k;
  uint8_t* to = run.panel + run.slot * kGmmUnit;
  const int64_t units = gmm_units(k), whole = k / kGmmUnit;
  const auto put = [&](int64_t u, int64_t i, size_t bytes) {
    uint32_t word = 0;
    std::memcpy(&word, values + i * k + u * kGmmUnit, bytes);
    word ^= 0x80808080u;
    std::memcpy(to + u * kGmmUnitBytes8 + i * kGmmUnit, &word, 4);
  };
  for (int64_t u = 0; u < whole; ++u)
    for (int64_t i = 0; i < run.count; ++i) put(u, i, kGmmUnit);
  for (int64_t i = 0; i < run.count && whole < units; ++i)
    put(whole, i, static_cast<size_t>(k % kGmmUnit));
  std::memcpy(run.panel + units * kGmmUnitBytes8 + run.slot * 4, source.scales_N + run.row,
              static_cast<size_t>(run.count) * 4);
}

/// Bytes 0..3 of both, taken in turn.
uint64_t interleave(uint32_t even, uint32_t odd) {
  const auto spread = [](uint64_t x) {
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    return (x | x << 8) & 0x00ff00ff00ff00ffu;
  };
  return spread(even) | spread(odd) << 8;
}

/// The nibbles of a word as 8 bytes, their low halves.
uint64_t spread_nibbles(uint32_t word) {
  return interleave(word & 0x0f0f0f0fu, word >> 4 & 0x0f0f0f0fu);
}

/// Two units of a slot, the second one if it exists.
void store_units(uint8_t* to, uint64_t bytes, bool both) {
  std::memcpy(to, &bytes, 4);
  bytes >>= 32;
  if (both) std::memcpy(to + kGmmUnitBytes4, &bytes, 4);
}

/// Words of K of one group for slots of one half; the other half's nibbles stay.
void write_half(const uint32_t* words, int64_t stride, int64_t count, int64_t units, bool high,
                uint8_t* to) {
  const int shift = high ? 4 : 0;
  const uint64_t kept = high ? 0x0f0f0f0f0f0f0f0fu : 0xf0f0f0f0f0f0f0f0u;
  for (int64_t u = 0; u < units; u += 2, to += 2 * kGmmUnitBytes4)
    for (int64_t i = 0; i < count; ++i) {
      uint32_t old[2] = {};
      uint8_t* at = to + i * kGmmUnit;
      std::memcpy(&old[0], at, 4);
      if (u + 1 < units) std::memcpy(&old[1], at + kGmmUnitBytes4, 4);
      const uint64_t before = (old[0] | uint64_t{old[1]} << 32) & kept;
      store_units(at, before | spread_nibbles(words[i * stride + u / 2]) << shift, u + 1 < units);
    }
}

/// The same for all slots of a panel.
void write_both(const uint32_t* words, int64_t stride, int64_t units, uint8_t* to) {
  const uint32_t* high = words + kGmmHalf * stride;
  for (int64_t u = 0; u < units; u += 2, to += 2 * kGmmUnitBytes4)
    for (int64_t i = 0; i < kGmmHalf; ++i) {
      const uint32_t low_word = words[i * stride + u / 2], high_word = high[i * stride + u / 2];
      const uint32_t even = (low_word & 0x0f0f0f0fu) | (high_word & 0x0f0f0f0fu) << 4;
      const uint32_t odd = (low_word >> 4 & 0x0f0f0f0fu) | (high_word & 0xf0f0f0f0u);
      store_units(to + i * kGmmUnit, interleave(even, odd), u + 1 < units);
    }
}

void write_int4(const Int4Rows& source, int64_t k, const Run& run) {
  const int64_t stride = (k + 7) / 8, groups = gmm_groups(k), units = gmm_units(k);
  const int64_t low = std::clamp<int64_t>(kGmmHalf - run.slot, 0, run.count);
  const uint32_t* words = source.words_NK8 + run.row * stride;
  uint8_t* at = run.panel;
  for (int64_t g = 0; g < groups; ++g, words += kGmmGroupUnits / 2) {
    const int64_t now = std::min<int64_t>(kGmmGroupUnits, units - g * kGmmGroupUnits);
    for (int64_t i = 0; i < run.count; ++i)
      std::memcpy(at + (run.slot + i) * 2, source.scales_NG + (run.row + i) * groups + g, 2);
    at += kGmmScaleBytes4;
    const auto half = [&](int64_t from, int64_t count, bool high) {
      write_half(words + from * stride, stride, count, now, high,
                 at + (run.slot + from) % kGmmHalf * kGmmUnit);
    };
    if (run.count == kGmmPanel) {
      write_both(words, stride, now, at);
    } else {
      if (low > 0) half(0, low, /*high=*/false);
      if (low < run.count) half(low, run.count - low, /*high=*/true);
    }
    at += now * kGmmUnitBytes4;
  }
}

template <class From, class To>
void write_floats(const From* values, int64_t k, int64_t panel_columns, const Run& run) {
  constexpr int64_t kUnit = 4 / sizeof(To);
  for (int64_t begin = 0; begin < k; begin += kUnit)
    for (int64_t i = 0; i < run.count; ++i) {
      To unit[kUnit] = {};
      const From* from = values + (run.row + i) * k + begin;
      for (int64_t j = 0; j < std::min(kUnit, k - begin); ++j)
        unit[j] = To(static_cast<float>(from[j]));
      std::memcpy(run.panel + (begin / kUnit * panel_columns + run.slot + i) * 4, unit, 4);
    }
}

template <class From>
void write_floats_as(DType dtype, const From* values, int64_t k, int64_t panel_columns,
                     const Run& run) {
  if (dtype == DType::kBF16)
    write_floats<From, BFloat16>(values, k, panel_columns, run);
  else
    write_floats<From, float>(values, k, panel_columns, run);
}

}  // namespace

int64_t packed_bytes(const kernels::Table& table, const Weight& w) {
  check(w.format != WeightFormat::kRowMajor, "[packed_bytes] the weight's format is row-major");
  if (!w.quantized()) check_is_float("packed_bytes", "weight", w.dtype);
  const Panels panels(table, w);
  return w.experts * panels.count * panels.bytes;
}

void pack_rows(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
               const Int8Rows& source, void* target) {
  check_range("pack_rows", w, WeightFormat::kW8A8, expert, first_row, source.rows);
  for_runs(context, w, expert, first_row, source.rows, target,
           [&](const Run& run) { write_int8(source, w.k, run); });
}

void pack_rows(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
               const Int4Rows& source, void* target) {
  check_range("pack_rows", w, WeightFormat::kW4A8, expert, first_row, source.rows);
  for_runs(context, w, expert, first_row, source.rows, target,
           [&](const Run& run) { write_int4(source, w.k, run); });
}

void pack_rows(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
               const FloatRows& source, void* target) {
  check_range("pack_rows", w, WeightFormat::kPacked, expert, first_row, source.rows);
  check_is_float("pack_rows", "weight", w.dtype);
  check_is_float("pack_rows", "source", source.dtype);
  const int64_t columns = Panels(context.kernels, w).columns;
  for_runs(context, w, expert, first_row, source.rows, target, [&](const Run& run) {
    if (source.dtype == DType::kBF16)
      write_floats_as(w.dtype, static_cast<const BFloat16*>(source.values_NK), w.k, columns, run);
    else
      write_floats_as(w.dtype, static_cast<const float*>(source.values_NK), w.k, columns, run);
  });
}

}  // namespace moge
