// SwiGLU: shape checks and row blocks (kernels/swiglu.h). R rows, F expert hidden.
#include "moge/ops/elementwise.h"
#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

void swiglu_forward(const Context& context, const Tensor& gate_up_R2F, const Tensor& act_RF) {
  const OpTimer timer("swiglu");
  check(act_RF.rank == 2, "[swiglu] act is {}, want [R, F]", act_RF);
  const int64_t R = act_RF.dim(0), F = act_RF.dim(1);
  check_shape(gate_up_R2F, {R, 2 * F}, "swiglu", "gate_up");
  const auto kernel = context.kernels.swiglu
                          .forward[type_index(gate_up_R2F, "swiglu")][type_index(act_RF, "swiglu")];
  for_row_blocks(context, R, F * 12, [&](int64_t begin, int64_t end) {
    kernel({rows_from(gate_up_R2F, begin), rows_to(act_RF, begin), end - begin, F});
  });
}

void swiglu_backward(const Context& context, const Tensor& gate_up_R2F, const Tensor& dact_RF,
                     const Tensor& dgate_up_R2F) {
  check(dact_RF.rank == 2, "[swiglu] dact is {}, want [R, F]", dact_RF);
  const int64_t R = dact_RF.dim(0), F = dact_RF.dim(1);
  check_shape(gate_up_R2F, {R, 2 * F}, "swiglu", "gate_up");
  check_shape(dgate_up_R2F, {R, 2 * F}, "swiglu", "dgate_up");
  const auto kernel = context.kernels.swiglu.backward[type_index(gate_up_R2F, "swiglu")][type_index(
      dact_RF, "swiglu")][type_index(dgate_up_R2F, "swiglu")];
  for_row_blocks(context, R, F * 20, [&](int64_t begin, int64_t end) {
    kernel({rows_from(gate_up_R2F, begin), rows_from(dact_RF, begin), rows_to(dgate_up_R2F, begin),
            end - begin, F});
  });
}

void swiglu_weighted_backward(const Context& context, const Tensor& gate_up_R2F,
                              const Tensor& act_RF, const Tensor& dact_RF, const Tensor& weights_R,
                              const Tensor& dgate_up_R2F, const Tensor& weighted_act_RF,
                              const Tensor& dweights_R) {
  constexpr const char* kOp = "swiglu";
  check(act_RF.rank == 2, "[{}] act is {}, want [R, F]", kOp, act_RF);
  const int64_t R = act_RF.dim(0), F = act_RF.dim(1);
  check_shape(gate_up_R2F, {R, 2 * F}, kOp, "gate_up");
  check_shape(dact_RF, {R, F}, kOp, "dact");
  check_shape(dgate_up_R2F, {R, 2 * F}, kOp, "dgate_up");
  check_shape(weighted_act_RF, {R, F}, kOp, "weighted act");
  for (const Tensor* x : {&act_RF, &dact_RF, &dgate_up_R2F, &weighted_act_RF})
    check(x->dtype == gate_up_R2F.dtype, "[{}] {} does not have the type of gate_up {}", kOp, *x,
          gate_up_R2F);
  check_dense(weights_R, {R}, DType::kF32, kOp, "weights");
  check_dense(dweights_R, {R}, DType::kF32, kOp, "dweights");
  const auto kernel = context.kernels.swiglu.weighted_backward[type_index(gate_up_R2F, kOp)];
  for_row_blocks(context, R, F * 28, [&](int64_t begin, int64_t end) {
    kernel({.gate_up = rows_from(gate_up_R2F, begin),
            .act = rows_from(act_RF, begin),
            .dact = rows_from(dact_RF, begin),
            .weights_R = weights_R.as<float>() + begin,
            .dgate_up = rows_to(dgate_up_R2F, begin),
            .weighted_act = rows_to(weighted_act_RF, begin),
            .dweights_R = dweights_R.as<float>() + begin,
            .R = end - begin,
            .F = F});
  });
}

}  // namespace moge
