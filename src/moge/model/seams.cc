#include "moge/model/seams.h"

namespace moge {

void LocalDispatch::plan(const Context& context, const Routing& r) {
  sort_by_expert(context, r.ids_TK, r.offsets_E1.dim(0) - 1, r.offsets_E1, r.row_of_TK,
                 r.token_of_R);
}

RoutedRows LocalDispatch::send(const Context&, const Routing& r, const Tensor& x_TD) {
  return {x_TD, r.token_of_R};
}

void LocalDispatch::send_backward(const Context& context, const Routing& r, const Tensor& drows_RD,
                                  const Tensor& dx_TD) {
  permute_backward(context, drows_RD, r.row_of_TK, dx_TD);
}

void LocalDispatch::combine(const Context& context, const Routing& r, const Tensor& rows_RD,
                            int64_t num_groups, const Tensor& y_TD) {
  combine_forward(context, rows_RD, r.row_of_TK, r.weights_TK, num_groups, /*accumulate=*/false,
                  y_TD);
}

void LocalDispatch::send_weights(const Context& context, const Routing& r,
                                 const Tensor& weights_R) {
  slots_to_rows(context, r.weights_TK, r.row_of_TK, weights_R);
}

void LocalDispatch::send_weights_backward(const Context& context, const Routing& r,
                                          const Tensor& dweights_R, const Tensor& dweights_TK) {
  rows_to_slots(context, dweights_R, r.row_of_TK, dweights_TK);
}

}  // namespace moge
