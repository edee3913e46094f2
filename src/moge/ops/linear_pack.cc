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

/// Where an output channel lies.
struct Slot {
  int64_t panel, slot;

  Slot(const Panels& panels, const Weight& w, int64_t n) {
    const int64_t middle = w.n / 2;
    const int64_t in_half = n < middle ? n : n - middle;
    panel = w.paired ? in_half / panels.half : n / panels.columns;
    slot = w.paired ? in_half % panels.half + (n < middle ? 0 : panels.half) : n % panels.columns;
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

/// Calls write(row of the range, panel, slot) for all rows; a panel belongs to one task.
template <class Write>
void for_slots(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
               int64_t rows, void* target, Write write) {
  const Panels panels(context.kernels, w);
  auto* base = static_cast<uint8_t*>(target) + expert * panels.count * panels.bytes;
  const int64_t block = w.paired ? panels.half : panels.columns;
  const int64_t middle = w.paired ? w.n / 2 : 0;
  // Rows of a task end where a panel's slots end; paired weights have two runs of panels.
  const auto boundary = [&](int64_t row) {
    const int64_t from = row < middle ? 0 : middle;
    const int64_t end = from + ((row - from) / block + 1) * block;
    return row < middle ? std::min(end, middle) : end;
  };
  const int64_t end = first_row + rows, tasks = rows / block + 3;
  context.threads.parallel_for(tasks, [&](int64_t task, int) {
    int64_t begin = first_row;
    for (int64_t i = 0; i < task && begin < end; ++i) begin = boundary(begin);
    if (begin >= end) return;
    for (int64_t row = begin; row < std::min(end, boundary(begin)); ++row) {
      const Slot slot(panels, w, row);
      write(row - first_row, base + slot.panel * panels.bytes, static_cast<int>(slot.slot));
    }
  });
}

void write_int8(const int8_t* values, float scale, int64_t k, uint8_t* panel, int slot) {
  const int64_t units = gmm_units(k);
  for (int64_t u = 0; u < units; ++u) {
    uint32_t word = 0;
    std::memcpy(&word, values + u * kGmmUnit, static_cast<size_t>(std::min<int64_t>(4, k - 4 * u)));
    word ^= 0x80808080u;
    std::memcpy(panel + u * kGmmUnitBytes8 + slot * kGmmUnit, &word, 4);
  }
  std::memcpy(panel + units * kGmmUnitBytes8 + slot * 4, &scale, 4);
}

/// Nibble i of the low 16 bits becomes byte i.
uint32_t spread_nibbles(uint32_t word) {
  word = (word | word << 8) & 0x00ff00ffu;
  return (word | word << 4) & 0x0f0f0f0fu;
}

void write_int4(const uint32_t* words, const BFloat16* scales, int64_t k, uint8_t* panel,
                int slot) {
  const bool high = slot >= kGmmHalf;
  const uint32_t kept = high ? 0x0f0f0f0fu : 0xf0f0f0f0u;
  uint8_t* at = panel;
  for (int64_t u = 0; u < gmm_units(k); ++u) {
    if (u % kGmmGroupUnits == 0) {
      std::memcpy(at + slot * 2, scales + u / kGmmGroupUnits, 2);
      at += kGmmScaleBytes4;
    }
    uint8_t* to = at + (slot % kGmmHalf) * kGmmUnit;
    const uint32_t nibbles = spread_nibbles((words[u / 2] >> (u % 2 * 16)) & 0xffffu);
    uint32_t word;
    std::memcpy(&word, to, 4);
    word = (word & kept) | (high ? nibbles << 4 : nibbles);
    std::memcpy(to, &word, 4);
    at += kGmmUnitBytes4;
  }
}

template <class From, class To>
void write_floats(const From* values, int64_t k, int64_t panel_columns, uint8_t* panel, int slot) {
  constexpr int kUnit = 4 / sizeof(To);
  for (int64_t u = 0; u * kUnit < k; ++u) {
    To unit[kUnit] = {};
    for (int64_t i = 0; i < kUnit && u * kUnit + i < k; ++i)
      unit[i] = To(static_cast<float>(values[u * kUnit + i]));
    std::memcpy(panel + (u * panel_columns + slot) * 4, unit, 4);
  }
}

template <class From>
void write_floats_as(DType dtype, const From* values, int64_t k, int64_t panel_columns,
                     uint8_t* panel, int slot) {
  if (dtype == DType::kBF16)
    write_floats<From, BFloat16>(values, k, panel_columns, panel, slot);
  else
    write_floats<From, float>(values, k, panel_columns, panel, slot);
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
  for_slots(context, w, expert, first_row, source.rows, target,
            [&](int64_t row, uint8_t* panel, int slot) {
              write_int8(source.values_NK + row * w.k, source.scales_N[row], w.k, panel, slot);
            });
}

void pack_rows(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
               const Int4Rows& source, void* target) {
  check_range("pack_rows", w, WeightFormat::kW4A8, expert, first_row, source.rows);
  const int64_t words = (w.k + 7) / 8, groups = gmm_groups(w.k);
  const int64_t gates = w.paired ? std::max<int64_t>(0, w.n / 2 - first_row) : 0;
  if (gates > 0 && gates < source.rows) {  // a gate's nibbles share bytes with an up's
    pack_rows(context, w, expert, first_row, Int4Rows{gates, source.words_NK8, source.scales_NG},
              target);
    return pack_rows(context, w, expert, first_row + gates,
                     Int4Rows{source.rows - gates, source.words_NK8 + gates * words,
                              source.scales_NG + gates * groups},
                     target);
  }
  for_slots(context, w, expert, first_row, source.rows, target,
            [&](int64_t row, uint8_t* panel, int slot) {
              write_int4(source.words_NK8 + row * words, source.scales_NG + row * groups, w.k,
                         panel, slot);
            });
}

void pack_rows(const Context& context, const Weight& w, int64_t expert, int64_t first_row,
               const FloatRows& source, void* target) {
  check_range("pack_rows", w, WeightFormat::kPacked, expert, first_row, source.rows);
  check_is_float("pack_rows", "weight", w.dtype);
  check_is_float("pack_rows", "source", source.dtype);
  const int64_t columns = Panels(context.kernels, w).columns;
  for_slots(
      context, w, expert, first_row, source.rows, target,
      [&](int64_t row, uint8_t* panel, int slot) {
        const void* values =
            static_cast<const char*>(source.values_NK) + row * w.k * size_of(source.dtype);
        if (source.dtype == DType::kBF16)
          write_floats_as(w.dtype, static_cast<const BFloat16*>(values), w.k, columns, panel, slot);
        else
          write_floats_as(w.dtype, static_cast<const float*>(values), w.k, columns, panel, slot);
      });
}

}  // namespace moge
