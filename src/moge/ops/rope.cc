// RoPE: shape checks and row blocks (kernels/rope.h). T rows, H heads, C head dim, P positions.
#include "moge/ops/elementwise.h"
#include "moge/ops/rows.h"

namespace moge {

void check_rope(const Tensor& x_THC, const Tensor& positions_T, const RopeTable& table) {
  check(x_THC.rank == 3 && x_THC.dim(2) % 2 == 0, "[rope] x is {}, want [T, H, C] with an even C",
        x_THC);
  const int64_t T = x_THC.dim(0), half = x_THC.dim(2) / 2;
  const int64_t num_positions = table.cos_PC2.dim(0);
  check_dense(positions_T, {T}, DType::kI32, "rope", "positions");
  check_dense(table.cos_PC2, {num_positions, half}, DType::kF32, "rope", "cos");
  check_dense(table.sin_PC2, {num_positions, half}, DType::kF32, "rope", "sin");
  const int32_t* positions = positions_T.as<int32_t>();
  for (int64_t t = 0; t < T; ++t)
    check(positions[t] >= 0 && positions[t] < num_positions,
          "[rope] position {} of row {} is outside the {} positions of the table", positions[t], t,
          num_positions);
}

void rope_rows(const Context& context, const Tensor& x_THC, const Tensor& positions_T,
               const RopeTable& table, int64_t begin, int64_t end, float direction) {
  context.kernels.rope.rotate[type_index(x_THC, "rope")]({
      .x = rows_to(x_THC, begin),
      .positions_T = positions_T.as<int32_t>() + begin,
      .cos_PC2 = table.cos_PC2.as<float>(),
      .sin_PC2 = table.sin_PC2.as<float>(),
      .direction = direction,
      .T = end - begin,
      .H = x_THC.dim(1),
      .C2 = x_THC.dim(2) / 2,
  });
}

namespace {

void rotate(const Context& context, const Tensor& x_THC, const Tensor& positions_T,
            const RopeTable& table, float direction) {
  check_rope(x_THC, positions_T, table);
  const int64_t bytes_per_row = x_THC.dim(1) * x_THC.dim(2) * 8;
  for_row_blocks(context, x_THC.dim(0), bytes_per_row, [&](int64_t begin, int64_t end) {
    rope_rows(context, x_THC, positions_T, table, begin, end, direction);
  });
}

}  // namespace

void rope_forward(const Context& context, const Tensor& x_THC, const Tensor& positions_T,
                  const RopeTable& table) {
  rotate(context, x_THC, positions_T, table, 1.0f);
}

void rope_backward(const Context& context, const Tensor& dx_THC, const Tensor& positions_T,
                   const RopeTable& table) {
  rotate(context, dx_THC, positions_T, table, -1.0f);
}

}  // namespace moge
