// The only two places where a block can meet other ranks. The local forms below are all that one
// process needs; parallel/ brings others. The block never asks what rank it is.
// T tokens, D model dim, E experts, K chosen per token, R routed rows.
#pragma once

#include "moge/ops/context.h"
#include "moge/ops/linear.h"
#include "moge/ops/moe.h"

namespace moge {

/// Where each token's choices go.
struct Routing {
  Tensor probs_TE;               ///< fp32, softmax over all experts
  Tensor ids_TK, weights_TK;     ///< i32, fp32
  Tensor offsets_E1;             ///< i32: rows of expert e are [offsets[e], offsets[e+1])
  Tensor row_of_TK, token_of_R;  ///< i32
};

/// Rows in expert order as the products read them.
struct RoutedRows {
  Tensor x;           ///< [any, D]
  Tensor token_of_R;  ///< i32: routed row r is x's row token_of_R[r]; absent: r
};

/// Brings tokens to the experts and their results back.
class ExpertDispatch {
 public:
  virtual ~ExpertDispatch() = default;
  /// From ids_TK: offsets_E1, row_of_TK, token_of_R.
  virtual void plan(const Context& context, const Routing& routing) = 0;
  /// The experts' rows of x_TD: their input in forward, the gradient of their output in backward.
  /// x_TD stays where it is until the rows have been used.
  virtual RoutedRows send(const Context& context, const Routing& routing, const Tensor& x_TD) = 0;
  /// dx_TD += the gradients of the token's rows.
  virtual void send_backward(const Context& context, const Routing& routing, const Tensor& drows_RD,
                             const Tensor& dx_TD) = 0;
  /// y_TD = weighted sum of the token's rows, in the fixed tree over groups.
  virtual void combine(const Context& context, const Routing& routing, const Tensor& rows_RD,
                       int64_t num_groups, const Tensor& y_TD) = 0;
  /// combine's backward is send(dy_TD); the rows' weights come in where a product is small
  /// (swiglu_weighted_backward). weights_R = weights_TK in expert order.
  virtual void send_weights(const Context& context, const Routing& routing,
                            const Tensor& weights_R) = 0;
  /// dweights_TK = dweights_R in token order.
  virtual void send_weights_backward(const Context& context, const Routing& routing,
                                     const Tensor& dweights_R, const Tensor& dweights_TK) = 0;
};

/// Sums what the ranks of a tensor-parallel group hold of one activation or gradient.
class PartialSum {
 public:
  virtual ~PartialSum() = default;
  /// The bias that a row-parallel product adds itself; a form that sums over ranks returns none
  /// and adds it in sum().
  virtual Tensor bias_of_product(const Tensor& bias_D) const = 0;
  /// How a product over the k values that ranks share is summed.
  virtual LinearOptions of_product(int64_t k) const = 0;
  /// y_TD (fp32) = the sum of all ranks' y_TD, plus the bias that bias_of_product held back.
  virtual void sum(const Context& context, const Tensor& bias_D, const Tensor& y_TD) = 0;
};

/// One process holds every expert: a permutation, and rows are gathered where they are read.
class LocalDispatch final : public ExpertDispatch {
 public:
  void plan(const Context& context, const Routing& routing) override;
  RoutedRows send(const Context& context, const Routing& routing, const Tensor& x_TD) override;
  void send_backward(const Context& context, const Routing& routing, const Tensor& drows_RD,
                     const Tensor& dx_TD) override;
  void combine(const Context& context, const Routing& routing, const Tensor& rows_RD,
               int64_t num_groups, const Tensor& y_TD) override;
  void send_weights(const Context& context, const Routing& routing,
                    const Tensor& weights_R) override;
  void send_weights_backward(const Context& context, const Routing& routing,
                             const Tensor& dweights_R, const Tensor& dweights_TK) override;
};

/// One process holds every column: nothing to sum. Products add eighths of K, as ranks would, from
/// the K on where that costs less than 3 % (docs/numerics.md), or, if asked, always.
class LocalSum final : public PartialSum {
 public:
  static constexpr int64_t kEighthsFrom = 512;

  explicit LocalSum(bool always_in_eighths = false)
      : eighths_from_(always_in_eighths ? 0 : kEighthsFrom) {}
  LinearOptions of_product(int64_t k) const override {
    return {.sum_in_eighths = k >= eighths_from_};
  }
  Tensor bias_of_product(const Tensor& bias_D) const override { return bias_D; }
  void sum(const Context&, const Tensor&, const Tensor&) override {}

 private:
  int64_t eighths_from_;
};

}  // namespace moge
