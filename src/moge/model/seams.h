// The only two places where a block can meet other ranks. The local forms below are all that one
// process needs; parallel/ brings others. The block never asks what rank it is.
// T tokens, D model dim, E experts, K chosen per token, R routed rows.
#pragma once

#include "moge/ops/context.h"
#include "moge/ops/moe.h"

namespace moge {

/// Where each token's choices go.
struct Routing {
  Tensor probs_TE;               ///< fp32, softmax over all experts
  Tensor ids_TK, weights_TK;     ///< i32, fp32
  Tensor offsets_E1;             ///< i32: rows of expert e are [offsets[e], offsets[e+1])
  Tensor row_of_TK, token_of_R;  ///< i32
};

/// Brings tokens to the experts and their results back.
class ExpertDispatch {
 public:
  virtual ~ExpertDispatch() = default;
  /// From ids_TK: offsets_E1, row_of_TK, token_of_R.
  virtual void plan(const Context& context, const Routing& routing) = 0;
  virtual void send(const Context& context, const Routing& routing, const Tensor& x_TD,
                    const Tensor& rows_RD) = 0;
  /// dx_TD += the gradients of the token's rows.
  virtual void send_backward(const Context& context, const Routing& routing, const Tensor& drows_RD,
                             const Tensor& dx_TD) = 0;
  /// y_TD = weighted sum of the token's rows, in the fixed tree over groups.
  virtual void combine(const Context& context, const Routing& routing, const Tensor& rows_RD,
                       int64_t num_groups, const Tensor& y_TD) = 0;
  virtual void combine_backward(const Context& context, const Routing& routing, const Tensor& dy_TD,
                                const Tensor& rows_RD, const Tensor& drows_RD,
                                const Tensor& dweights_TK) = 0;
};

/// Sums what the ranks of a tensor-parallel group hold of one activation or gradient.
class PartialSum {
 public:
  virtual ~PartialSum() = default;
  /// The bias that a row-parallel product adds itself; a form that sums over ranks returns none
  /// and adds it in sum().
  virtual Tensor bias_of_product(const Tensor& bias_D) const = 0;
  /// y_TD (fp32) = the sum of all ranks' y_TD, plus the bias that bias_of_product held back.
  virtual void sum(const Context& context, const Tensor& bias_D, const Tensor& y_TD) = 0;
};

/// One process holds every expert: a permutation.
class LocalDispatch final : public ExpertDispatch {
 public:
  void plan(const Context& context, const Routing& routing) override;
  void send(const Context& context, const Routing& routing, const Tensor& x_TD,
            const Tensor& rows_RD) override;
  void send_backward(const Context& context, const Routing& routing, const Tensor& drows_RD,
                     const Tensor& dx_TD) override;
  void combine(const Context& context, const Routing& routing, const Tensor& rows_RD,
               int64_t num_groups, const Tensor& y_TD) override;
  void combine_backward(const Context& context, const Routing& routing, const Tensor& dy_TD,
                        const Tensor& rows_RD, const Tensor& drows_RD,
                        const Tensor& dweights_TK) override;
};

/// One process holds every column: nothing to sum.
class LocalSum final : public PartialSum {
 public:
  Tensor bias_of_product(const Tensor& bias_D) const override { return bias_D; }
  void sum(const Context&, const Tensor&, const Tensor&) override {}
};

}  // namespace moge
