// Routing forward and backward, router z-loss (kernels/route.h). T tokens, E experts, K chosen.
#include "moge/ops/moe.h"
#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

struct Shape {
  int64_t T, E, G, K;
};

void check_router_sizes(int64_t E, const RouteOptions& options) {
  const auto [G, K, renormalize] = options;
  check(E >= 1 && E <= kernels::kMaxExperts, "[route] {} experts, want 1 to {}", E,
        kernels::kMaxExperts);
  check(G >= 1 && E % G == 0, "[route] {} experts do not divide into {} groups", E, G);
  check(K >= 1 && K <= E && K % G == 0,
        "[route] top {} of {} experts cannot take the same number from each of {} groups", K, E, G);
  check(K <= kernels::kMaxSlots, "[route] top {} is more than {}", K, kernels::kMaxSlots);
}

Shape shape_of(const Tensor& probs_TE, const RouteOptions& options) {
  check(probs_TE.rank == 2, "[route] probs are {}, want [T, E]", probs_TE);
  check_router_sizes(probs_TE.dim(1), options);
  return {probs_TE.dim(0), probs_TE.dim(1), options.num_groups, options.top_k};
}

const float* scale_of(const Tensor& router_scale_E, int64_t E) {
  if (!router_scale_E) return nullptr;
  check(router_scale_E.numel() == E && router_scale_E.is_dense(),
        "[route] router_scale is {}, want {} elements", router_scale_E, E);
  return router_scale_E.as<float>();
}

}  // namespace

void route_forward(const Context& context, const Tensor& logits_TE, const Tensor& router_scale_E,
                   RouteOptions options, const Tensor& probs_TE, const Tensor& ids_TK,
                   const Tensor& weights_TK) {
  const OpTimer timer("route");
  const auto [T, E, G, K] = shape_of(probs_TE, options);
  check_shape(logits_TE, {T, E}, "route", "logits");
  check(logits_TE.dtype == DType::kF32, "[route] logits are {}, want float32", logits_TE);
  check_dense(probs_TE, {T, E}, DType::kF32, "route", "probs");
  check_dense(ids_TK, {T, K}, DType::kI32, "route", "ids");
  check_dense(weights_TK, {T, K}, DType::kF32, "route", "weights");
  const float* scale_E = scale_of(router_scale_E, E);
  for_row_blocks(context, T, E * 32, [&, E = E, G = G, K = K](int64_t begin, int64_t end) {
    context.kernels.route.forward({.logits = rows_from(logits_TE, begin),
                                   .scale_E = scale_E,
                                   .renormalize = options.renormalize,
                                   .probs_TE = probs_TE.as<float>() + begin * E,
                                   .ids_TK = ids_TK.as<int32_t>() + begin * K,
                                   .weights_TK = weights_TK.as<float>() + begin * K,
                                   .T = end - begin,
                                   .E = static_cast<int>(E),
                                   .G = static_cast<int>(G),
                                   .K = static_cast<int>(K)});
  });
}

void route_backward(const Context& context, const Tensor& probs_TE, const Tensor& ids_TK,
                    const Tensor& router_scale_E, RouteOptions options, const Tensor& dweights_TK,
                    const Tensor& dprobs_E, float z_scale, const Tensor& lse_T,
                    const Tensor& dlogits_TE, const Tensor& drouter_scale_E) {
  const auto [T, E, G, K] = shape_of(probs_TE, options);
  check_dense(probs_TE, {T, E}, DType::kF32, "route", "probs");
  check_dense(ids_TK, {T, K}, DType::kI32, "route", "ids");
  check_dense(dweights_TK, {T, K}, DType::kF32, "route", "dweights");
  check_shape(dlogits_TE, {T, E}, "route", "dlogits");
  if (dprobs_E) check_dense(dprobs_E, {E}, DType::kF32, "route", "dprobs");
  if (z_scale != 0.0f) check_dense(lse_T, {T}, DType::kF32, "route", "lse");
  const float* scale_E = scale_of(router_scale_E, E);
  const bool want_dscale = scale_of(drouter_scale_E, E) != nullptr;
  const auto kernel = context.kernels.route.backward[type_index(dlogits_TE, "route")];
  const SumBlocks blocks(T);
  ArenaScope scope(context.scratch);
  float* sums = want_dscale ? context.scratch.allocate<float>(blocks.count() * E) : nullptr;
  context.threads.parallel_for(blocks.count(), [&, E = E, K = K](int64_t i, int) {
    const int64_t begin = blocks.begin(i);
    kernel({.probs_TE = probs_TE.as<float>() + begin * E,
            .ids_TK = ids_TK.as<int32_t>() + begin * K,
            .scale_E = scale_E,
            .renormalize = options.renormalize,
            .dweights_TK = dweights_TK.as<float>() + begin * K,
            .dprobs_E = dprobs_E ? dprobs_E.as<float>() : nullptr,
            .z_scale = z_scale,
            .lse_T = z_scale != 0.0f ? lse_T.as<float>() + begin : nullptr,
            .dlogits = rows_to(dlogits_TE, begin),
            .dscale_E = want_dscale ? sums + i * E : nullptr,
            .T = blocks.end(i) - begin,
            .E = static_cast<int>(E),
            .K = static_cast<int>(K)});
  });
  if (want_dscale) add_block_sums(context, sums, blocks.count(), E, drouter_scale_E.as<float>());
}

double router_z_loss(const Context& context, const Tensor& logits_TE, const Tensor& lse_T) {
  check(logits_TE.rank == 2 && logits_TE.dtype == DType::kF32,
        "[z_loss] logits are {}, want float32 [T, E]", logits_TE);
  const int64_t T = logits_TE.dim(0), E = logits_TE.dim(1);
  check(E >= 1 && E <= kernels::kMaxExperts, "[z_loss] {} experts, want 1 to {}", E,
        kernels::kMaxExperts);
  check_dense(lse_T, {T}, DType::kF32, "z_loss", "lse");
  if (T == 0) return 0.0;
  float* lse = lse_T.as<float>();
  for_row_blocks(context, T, E * 32, [&](int64_t begin, int64_t end) {
    context.kernels.route.log_sum_exp(rows_from(logits_TE, begin), end - begin, static_cast<int>(E),
                                      lse + begin);
  });
  double sum = 0;
  for (int64_t t = 0; t < T; ++t) sum += double{lse[t]} * double{lse[t]};
  return sum / static_cast<double>(T);
}

}  // namespace moge
