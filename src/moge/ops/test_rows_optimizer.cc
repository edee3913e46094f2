// Rows of the case table: AdamW and sums of squares.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "moge/core/rng.h"
#include "moge/kernels/ref/adamw.h"
#include "moge/ops/optimizer.h"
#include "moge/ops/test_cases.h"

namespace moge::testing {
namespace {

constexpr DType kF = DType::kF32, kB = DType::kBF16;

OpRow adamw_row(int64_t n, AdamWOptions o, bool copy) {
  OpRow row("adamw", fmt::format("n={} step={} decay={} scale={}{}", n, o.step, o.weight_decay,
                                 o.grad_scale, copy ? " bf16" : ""));
  row.sum("w", kF, {n})
      .sum("m", kF, {n}, {.scale = 0.1})
      .sum("v", kF, {n}, {.fill = [](int64_t i) { return std::abs(Rng(1, "v").normal_at(i)); }})
      .input("grad", kF, {n})
      .output("copy", kB, {n});
  return row.step({"step",
                   [=](const Context& c, const Tensors& t) {
                     adamw_step(c, t["w"], t["m"], t["v"], t["grad"], o,
                                copy ? t["copy"] : Tensor());
                   },
                   [=](Values<double>& v) {
                     ref::adamw(v["w"], v["m"], v["v"], v["grad"], n, o.lr, o.beta1, o.beta2, o.eps,
                                o.weight_decay, o.step, o.grad_scale);
                     if (copy) std::copy_n(v["w"], n, v["copy"]);
                   },
                   static_cast<double>(n * (copy ? 30 : 28)), 14.0 * static_cast<double>(n)});
}

void adamw_rows(OpRows& rows) {
  for (int64_t n : {0, 1, 15, 16, 9001}) {
    rows.push_back(adamw_row(n, {.weight_decay = 0.1f, .step = 3, .grad_scale = 0.7f}, n != 15));
    rows.push_back(adamw_row(n, {.step = 1}, n == 15));
  }
  rows.push_back(adamw_row(100, {.beta1 = 0.0f, .beta2 = 0.999f, .step = 100000}, true));
  rows.push_back(adamw_row(int64_t{1} << 22, {.weight_decay = 0.1f}, false).only_perf());
  rows.push_back(adamw_row(int64_t{1} << 22, {.weight_decay = 0.1f}, true).only_perf());
}

OpRow sum_of_squares_row(int64_t n, DType type) {
  OpRow row("sum_of_squares", fmt::format("n={} {}", n, type == kB ? "bf16" : "fp32"));
  row.input("x", type, {n}).output("sum", kF, {1});
  return row.step({"forward",
                   [](const Context& c, const Tensors& t) {
                     t["sum"].as<float>()[0] = static_cast<float>(sum_of_squares(c, t["x"]));
                   },
                   [=](Values<double>& v) {
                     v["sum"][0] = 0;
                     for (int64_t i = 0; i < n; ++i) v["sum"][0] += v["x"][i] * v["x"][i];
                   },
                   static_cast<double>(n * size_of(type)), 2.0 * static_cast<double>(n)});
}

void sum_of_squares_rows(OpRows& rows) {
  for (DType type : {kF, kB}) {
    for (int64_t n : {0, 1, 17, 50001}) rows.push_back(sum_of_squares_row(n, type));
    rows.push_back(sum_of_squares_row(int64_t{1} << 22, type).only_perf());
  }
}

const RegisterRows kAdamW(adamw_rows), kSumOfSquares(sum_of_squares_rows);

}  // namespace
}  // namespace moge::testing
