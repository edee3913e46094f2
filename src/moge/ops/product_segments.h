// The order in which a product's K is summed (kernels/gemm.h).
#pragma once

#include <algorithm>
#include <bit>
#include <span>

#include "moge/core/integers.h"
#include "moge/kernels/gemm_block.h"
#include "moge/runtime/arena.h"

namespace moge {

inline int64_t part_elements(int64_t depth, int parts) {
  return parts == 1 ? depth : round_up(ceil_div(depth, parts), 2);
}

inline int64_t max_segments(int64_t depth, int parts) {
  return parts *
         std::max<int64_t>(1, ceil_div(part_elements(depth, parts), kernels::kGemmSegmentUnits));
}

/// The order of sums of kernels/gemm.h for `parts` equal parts of the depth.
inline std::span<kernels::GemmSegment> make_segments(Arena& arena, int64_t depth, int unit_elements,
                                                     int parts) {
  auto* segments = arena.allocate<kernels::GemmSegment>(max_segments(depth, parts));
  const int64_t part_length = part_elements(depth, parts);
  int count = 0, chunk = 0;
  for (int part = 0; part < parts; ++part) {
    const int64_t part_begin = std::min(depth, part * part_length);
    const int begin = static_cast<int>(ceil_div(part_begin, unit_elements));
    const int64_t part_end = std::min(depth, (part + 1) * part_length);
    const int end = static_cast<int>(ceil_div(part_end, unit_elements));
    int at = begin;
    do {
      const int units = std::min(kernels::kGemmSegmentUnits, end - at);
      const bool ends_part = at + units == end;
      segments[count++] = {.begin = at,
                           .units = units,
                           .chunk = chunk,
                           .continues = at > begin,
                           .ends_part = ends_part,
                           .joins = std::countr_one(static_cast<unsigned>(part)),
                           .last = ends_part && part == parts - 1};
      chunk += static_cast<int>(ceil_div(units, kernels::kGemmChunk));
      at += units;
    } while (at < end);
  }
  return {segments, static_cast<size_t>(count)};
}

}  // namespace moge
