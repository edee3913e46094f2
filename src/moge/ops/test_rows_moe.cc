// Rows of the case table: route, balance loss, sort, permute, combine.
// T tokens, E experts, G groups, K chosen per token, R = T*K routed rows, D model dim.
#include <fmt/format.h>

#include <cmath>
#include <complex>
#include <numeric>

#include "moge/core/rng.h"
#include "moge/kernels/ref/permute.h"
#include "moge/kernels/ref/route.h"
#include "moge/ops/moe.h"
#include "moge/ops/test_cases.h"

namespace moge::testing {
namespace {

constexpr DType kF = DType::kF32, kB = DType::kBF16, kI = DType::kI32;
const char* short_name(DType type) { return type == kB ? "bf16" : "fp32"; }

/// Which experts the tokens of a row choose.
enum class Choice { kRandom, kOneExpert, kFirstExpertEmpty };
const char* name_of(Choice choice) {
  constexpr const char* kNames[] = {"", " one expert", " first expert empty"};
  return kNames[static_cast<int>(choice)];
}

std::vector<int32_t> chosen_ids(int64_t T, int64_t K, int64_t E, Choice choice) {
  Rng rng(7, "ids");
  std::vector<int32_t> ids(static_cast<size_t>(T * K));
  for (int32_t& id : ids) {
    if (choice == Choice::kOneExpert)
      id = static_cast<int32_t>(E - 1);
    else if (choice == Choice::kRandom || E == 1)
      id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(E)));
    else
      id = static_cast<int32_t>(1 + rng.below(static_cast<uint64_t>(E - 1)));
  }
  return ids;
}

struct Order {
  std::vector<int32_t> offsets_E1, row_of_TK, token_of_R;
};
Order order_of(const std::vector<int32_t>& ids, int64_t T, int64_t K, int64_t E) {
  Order order;
  order.offsets_E1.resize(static_cast<size_t>(E + 1));
  order.row_of_TK.resize(ids.size());
  order.token_of_R.resize(ids.size());
  ref::sort_by_expert(ids.data(), T, K, E, order.offsets_E1.data(), order.row_of_TK.data(),
                      order.token_of_R.data());
  return order;
}
OperandOptions holding(std::vector<int32_t> list) {
  return {.fill = [list = std::move(list)](int64_t i) { return list[static_cast<size_t>(i)]; }};
}

struct Router {
  int64_t T, E, G, K;
  bool renormalize = false, equal_logits = false;
  double logit_scale = 1.0;
  DType dlogits = kF;
};

/// z_scale is the cotangent of sum_t lse^2, dsum_probs that of every token's probabilities.
constexpr float kZScale = 0.25f;

/// The terms of dlogits = p * (dp - sum(p dp) + z) cancel: their magnitudes.
void dlogits_norm(Values<double>& v, const Router& r) {
  double* norm = v.norm("dlogits");
  std::vector<double> dp(static_cast<size_t>(r.E));
  for (int64_t t = 0; t < r.T; ++t) {
    const double* p_E = v["probs"] + t * r.E;
    const int32_t* ids_K = v.ids("ids") + t * r.K;
    const double sum = r.renormalize ? ref::sum_of_chosen(p_E, ids_K, r.K) : 1.0;
    for (int64_t e = 0; e < r.E; ++e) dp[e] = std::abs(v["dsum_probs"][e]);
    double shared = 0, dot = 0;
    for (int64_t k = 0; k < r.K; ++k) {
      const double term = std::abs(v["dweights"][t * r.K + k] * v["scale"][ids_K[k]]) / sum;
      dp[ids_K[k]] += term;
      shared += r.renormalize ? term * p_E[ids_K[k]] / sum : 0.0;
    }
    for (int64_t k = 0; k < r.K; ++k) dp[ids_K[k]] += shared;
    for (int64_t e = 0; e < r.E; ++e) dot += p_E[e] * dp[e];
    const double z = 2 * kZScale * std::abs(v["lse"][t]);
    for (int64_t e = 0; e < r.E; ++e) norm[t * r.E + e] = p_E[e] * (dp[e] + dot + z);
  }
}

OpRow route_row(const Router& r) {
  const auto [T, E, G, K, renormalize, equal_logits, logit_scale, dlogits] = r;
  OpRow row("route", fmt::format("T={} E={} G={} K={}{}{}{} dlogits {}", T, E, G, K,
                                 renormalize ? " renormalize" : "", equal_logits ? " equal" : "",
                                 logit_scale > 1 ? " large" : "", short_name(dlogits)));
  OperandOptions logits{.scale = logit_scale, .gap = 3};
  if (equal_logits) logits.fill = [](int64_t) { return 0.5; };
  row.input("logits", kF, {T, E}, logits)
      .input("scale", kF, {E})
      .output("probs", kF, {T, E})
      .output("ids", kI, {T, K})
      .output("weights", kF, {T, K})
      .output("lse", kF, {T})
      .output("z", kF, {1})
      .input("dz", kF, {1}, {.fill = [](int64_t) { return kZScale; }})
      .input("dweights", kF, {T, K})
      .input("dsum_probs", kF, {E})
      .output("dlogits", dlogits, {T, E}, {.gap = 3})
      .sum("dscale", kF, {E}, {.tolerance = 16});
  const RouteOptions options{.num_groups = G, .top_k = K, .renormalize = renormalize};
  const double n = static_cast<double>(T * E);
  const auto probabilities = [=](auto& v) { ref::softmax(v["logits"], T, E, v["probs"]); };
  const auto weights = [=](auto& v) {
    ref::route_weights(v["probs"], v.ids("ids"), v["scale"], renormalize, T, E, K, v["weights"]);
  };
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              route_forward(c, t["logits"], t["scale"], options, t["probs"], t["ids"],
                            t["weights"]);
            },
            [=](Values<double>& v) {
              probabilities(v);
              ref::choose_experts(v["probs"], T, E, G, K, v.ids("ids"));
              weights(v);
            },
            n * 8, n * 20});
  row.step({"z_loss",
            [=](const Context& c, const Tensors& t) {
              const double mean = router_z_loss(c, t["logits"], t["lse"]);
              t["z"].as<float>()[0] = static_cast<float>(mean);
            },
            [=](Values<double>& v) {
              ref::log_sum_exp(v["logits"], T, E, v["lse"]);
              v["z"][0] = 0;
              for (int64_t t = 0; t < T; ++t)
                v["z"][0] += v["lse"][t] * v["lse"][t] / static_cast<double>(T);
            },
            n * 4, n * 15});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              route_backward(c, t["probs"], t["ids"], t["scale"], options, t["dweights"],
                             t["dsum_probs"], kZScale, t["lse"], t["dlogits"], t["dscale"]);
            },
            [=](Values<double>& v) {
              dlogits_norm(v, r);
              ref::route_backward(v["probs"], v.ids("ids"), v["scale"], renormalize, v["dweights"],
                                  v["dsum_probs"], kZScale, v["lse"], T, E, K, v["dlogits"],
                                  v["dscale"]);
            },
            n * 8, n * 6});
  return row.gradient({"logits", "scale"}, {"weights", "sum_probs", "z"}, [=](auto& v) {
    probabilities(v);
    weights(v);
    ref::log_sum_exp(v["logits"], T, E, v["lse"]);
    v["z"][0] = 0;
    for (int64_t t = 0; t < T; ++t) v["z"][0] += v["lse"][t] * v["lse"][t];
    auto& sum_probs = v.reals["sum_probs"];
    sum_probs.assign(static_cast<size_t>(E), 0.0);
    for (int64_t i = 0; i < T * E; ++i) sum_probs[i % E] += v["probs"][i];
  });
}

void route_rows(OpRows& rows) {
  for (const Router& router : std::initializer_list<Router>{
           {.T = 17, .E = 16, .G = 4, .K = 4},
           {.T = 9, .E = 12, .G = 4, .K = 8},
           {.T = 9, .E = 12, .G = 4, .K = 8, .renormalize = true},
           {.T = 33, .E = 64, .G = 8, .K = 8, .dlogits = kB},
           {.T = 70, .E = 64, .G = 1, .K = 8},
           {.T = 70, .E = 60, .G = 1, .K = 4, .renormalize = true},
           {.T = 1, .E = 7, .G = 1, .K = 3},
           {.T = 0, .E = 16, .G = 4, .K = 4},
           {.T = 3, .E = 16, .G = 16, .K = 16},
           {.T = 2, .E = 1, .G = 1, .K = 1},
           {.T = 5, .E = 24, .G = 3, .K = 6, .equal_logits = true},
           {.T = 5, .E = 24, .G = 3, .K = 6, .logit_scale = 30},
       })
    rows.push_back(route_row(router));
  rows.push_back(route_row({.T = 2500, .E = 6, .G = 3, .K = 3}));
  rows.push_back(route_row({.T = 4096, .E = 64, .G = 8, .K = 8}).only_perf());
  rows.push_back(route_row({.T = 4096, .E = 64, .G = 1, .K = 8}).only_perf());
}

OpRow balance_row(int64_t T, int64_t E, int64_t K, Choice choice) {
  OpRow row("balance_loss", fmt::format("T={} E={} K={}{}", T, E, K, name_of(choice)));
  constexpr double kAlpha = 0.01;
  const Order order = order_of(chosen_ids(T, K, E, choice), T, K, E);
  row.input("probs", kF, {T, E},
            {.fill =
                 [=](int64_t i) {
                   return 1.0 / static_cast<double>(E) + 1e-3 * Rng(1, "probs").normal_at(i);
                 }})
      .input("offsets", kI, {E + 1}, holding(order.offsets_E1))
      .output("dprobs_E", kF, {E})
      .output("loss", kF, {1})
      .input("dloss", kF, {1}, {.fill = [](int64_t) { return 1.0; }});
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              const double loss =
                  balance_loss(c, t["probs"], t["offsets"], K, kAlpha, t["dprobs_E"]);
              t["loss"].as<float>()[0] = static_cast<float>(loss);
            },
            [=](Values<double>& v) {
              v["loss"][0] =
                  ref::balance_loss(v["probs"], v.ids("offsets"), T, E, K, kAlpha, v["dprobs_E"]);
              auto& dprobs = v.reals["dprobs"];
              for (int64_t i = 0; i < T * E; ++i) dprobs.push_back(v["dprobs_E"][i % E]);
            },
            static_cast<double>(T * E * 4), static_cast<double>(T * E)});
  return row.gradient({"probs"}, {"loss"}, [=](auto& v) {
    v["loss"][0] = ref::balance_loss(v["probs"], v.ids("offsets"), T, E, K, kAlpha, v["dprobs_E"]);
  });
}

void balance_rows(OpRows& rows) {
  rows.push_back(balance_row(40, 16, 4, Choice::kRandom));
  rows.push_back(balance_row(1, 16, 4, Choice::kFirstExpertEmpty));
  rows.push_back(balance_row(77, 7, 2, Choice::kOneExpert));
  rows.push_back(balance_row(4096, 64, 8, Choice::kRandom).only_perf());
}

OpRow sort_row(int64_t T, int64_t K, int64_t E, Choice choice) {
  OpRow row("sort_by_expert", fmt::format("T={} K={} E={}{}", T, K, E, name_of(choice)));
  row.input("ids", kI, {T, K}, holding(chosen_ids(T, K, E, choice)))
      .output("offsets", kI, {E + 1})
      .output("row_of", kI, {T, K})
      .output("token_of", kI, {T * K});
  return row.step({"forward",
                   [=](const Context& c, const Tensors& t) {
                     sort_by_expert(c, t["ids"], E, t["offsets"], t["row_of"], t["token_of"]);
                   },
                   [=](Values<double>& v) {
                     ref::sort_by_expert(v.ids("ids"), T, K, E, v.ids("offsets"), v.ids("row_of"),
                                         v.ids("token_of"));
                   },
                   static_cast<double>(T * K * 16)});
}

void sort_rows(OpRows& rows) {
  for (Choice choice : {Choice::kRandom, Choice::kOneExpert, Choice::kFirstExpertEmpty}) {
    rows.push_back(sort_row(37, 4, 16, choice));
    rows.push_back(sort_row(1, 1, 1, choice));
    rows.push_back(sort_row(0, 4, 16, choice));
  }
  rows.push_back(sort_row(2500, 3, 9, Choice::kRandom));  // three counting blocks
  rows.push_back(sort_row(4096, 8, 64, Choice::kRandom).only_perf());
}

OpRow permute_row(int64_t T, int64_t K, int64_t D, int64_t E, DType type, Choice choice,
                  int64_t gap) {
  OpRow row("permute", fmt::format("T={} K={} D={} E={} {}{}{}", T, K, D, E, short_name(type),
                                   name_of(choice), gap ? " gaps" : ""));
  const Order order = order_of(chosen_ids(T, K, E, choice), T, K, E);
  row.input("x", type, {T, D}, {.gap = gap})
      .input("token_of", kI, {T * K}, holding(order.token_of_R))
      .input("row_of", kI, {T, K}, holding(order.row_of_TK))
      .output("rows", type, {T * K, D}, {.gap = gap})
      .input("drows", type, {T * K, D}, {.gap = gap})
      .sum("dx", kF, {T, D}, {.gap = gap});
  const auto forward = [=](auto& v) {
    ref::permute_forward(v["x"], v.ids("token_of"), T * K, D, v["rows"]);
  };
  const double n = static_cast<double>(T * K * D), size = static_cast<double>(size_of(type));
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              permute_forward(c, t["x"], t["token_of"], t["rows"]);
            },
            forward, n * size * 2});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              permute_backward(c, t["drows"], t["row_of"], t["dx"]);
            },
            [=](Values<double>& v) {
              const std::vector<double> ones(static_cast<size_t>(T * K), 1.0);
              ref::combine_forward(v["drows"], v.ids("row_of"), ones.data(), T, D, K, K, v["dx"]);
            },
            n * size + 8.0 * static_cast<double>(T * D), n});
  return row.gradient({"x"}, {"rows"}, forward);
}

void permute_rows(OpRows& rows) {
  for (DType type : {kF, kB}) {
    rows.push_back(permute_row(19, 4, 33, 8, type, Choice::kRandom, 3));
    rows.push_back(permute_row(19, 3, 96, 8, type, Choice::kOneExpert, 0));
    rows.push_back(permute_row(1, 1, 1, 3, type, Choice::kFirstExpertEmpty, 0));
    rows.push_back(permute_row(0, 4, 16, 8, type, Choice::kRandom, 0));
    rows.push_back(permute_row(4096, 8, 512, 64, type, Choice::kRandom, 0).only_perf());
  }
}

OpRow slots_row(int64_t T, int64_t K, int64_t E, Choice choice) {
  OpRow row("slots", fmt::format("T={} K={} E={}{}", T, K, E, name_of(choice)));
  const Order order = order_of(chosen_ids(T, K, E, choice), T, K, E);
  row.input("by_slot", kF, {T, K})
      .input("row_of", kI, {T, K}, holding(order.row_of_TK))
      .output("by_row", kF, {T * K})
      .output("back", kF, {T, K});
  const double bytes = static_cast<double>(T * K * 12);
  row.step({"to_rows",
            [=](const Context& c, const Tensors& t) {
              slots_to_rows(c, t["by_slot"], t["row_of"], t["by_row"]);
            },
            [=](Values<double>& v) {
              for (int64_t i = 0; i < T * K; ++i) v["by_row"][v.ids("row_of")[i]] = v["by_slot"][i];
            },
            bytes});
  return row.step({"to_slots",
                   [=](const Context& c, const Tensors& t) {
                     rows_to_slots(c, t["by_row"], t["row_of"], t["back"]);
                   },
                   [=](Values<double>& v) {
                     for (int64_t i = 0; i < T * K; ++i) v["back"][i] = v["by_slot"][i];
                   },
                   bytes});
}

void slots_rows(OpRows& rows) {
  for (Choice choice : {Choice::kRandom, Choice::kOneExpert, Choice::kFirstExpertEmpty}) {
    rows.push_back(slots_row(37, 4, 16, choice));
    rows.push_back(slots_row(1, 1, 1, choice));
    rows.push_back(slots_row(0, 4, 16, choice));
  }
  rows.push_back(slots_row(4096, 8, 64, Choice::kRandom).only_perf());
}

OpRow combine_row(int64_t T, int64_t K, int64_t G, int64_t D, DType type, bool accumulate,
                  int64_t gap) {
  OpRow row("combine", fmt::format("T={} K={} G={} D={} {}{}{}", T, K, G, D, short_name(type),
                                   accumulate ? " accumulate" : "", gap ? " gaps" : ""));
  constexpr int64_t kExperts = 8;
  const Order order = order_of(chosen_ids(T, K, kExperts, Choice::kRandom), T, K, kExperts);
  row.input("rows", type, {T * K, D}, {.gap = gap})
      .input("row_of", kI, {T, K}, holding(order.row_of_TK))
      .input("weights", kF, {T, K})
      .input("dy", kF, {T, D}, {.gap = gap})
      .output("drows", type, {T * K, D}, {.gap = gap})
      .output("dweights", kF, {T, K}, {.tolerance = 16});
  if (accumulate)
    row.sum("y", kF, {T, D}, {.gap = gap});
  else
    row.output("y", kF, {T, D}, {.gap = gap});
  const auto forward = [=](auto& v) {
    if (!accumulate) v.zero("y");
    ref::combine_forward(v["rows"], v.ids("row_of"), v["weights"], T, D, K, G, v["y"]);
  };
  const double n = static_cast<double>(T * K * D), size = static_cast<double>(size_of(type));
  const double tokens = 4.0 * static_cast<double>(T * D);
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              combine_forward(c, t["rows"], t["row_of"], t["weights"], G, accumulate, t["y"]);
            },
            forward, n * size + tokens * (accumulate ? 2 : 1), 2 * n});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              combine_backward(c, t["dy"], t["rows"], t["row_of"], t["weights"], t["drows"],
                               t["dweights"]);
            },
            [=](Values<double>& v) {
              ref::combine_backward(v["dy"], v["rows"], v.ids("row_of"), v["weights"], T, D, K,
                                    v["drows"], v["dweights"]);
            },
            2 * n * size + tokens, 3 * n});
  return row.gradient({"rows", "weights"}, {"y"}, forward);
}

void combine_rows(OpRows& rows) {
  for (DType type : {kF, kB}) {
    rows.push_back(combine_row(7, 8, 8, 33, type, true, 3));
    rows.push_back(combine_row(7, 8, 8, 64, type, false, 0));
    rows.push_back(combine_row(5, 6, 3, 20, type, false, 0));
    rows.push_back(combine_row(5, 5, 5, 17, type, true, 0));
    rows.push_back(combine_row(5, 8, 2, 17, type, true, 0));
    rows.push_back(combine_row(3, 4, 4, 48, type, true, 0));
    rows.push_back(combine_row(3, 2, 1, 1, type, false, 0));
    rows.push_back(combine_row(1, 1, 1, 40, type, true, 0));
    rows.push_back(combine_row(0, 8, 8, 40, type, true, 0));
    rows.push_back(combine_row(4096, 8, 8, 512, type, true, 0).only_perf());
  }
}

const RegisterRows kRoute(route_rows), kBalance(balance_rows), kSort(sort_rows),
    kPermute(permute_rows), kSlots(slots_rows), kCombine(combine_rows);

}  // namespace
}  // namespace moge::testing
