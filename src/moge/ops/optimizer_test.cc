// AdamW's first step in closed form; the gradient norm's precision and its way with NaN and inf.
#include "moge/ops/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace moge {
namespace {

class Optimizer : public ::testing::TestWithParam<const kernels::Table*> {
 protected:
  ThreadPool threads_{2};
  Arena scratch_{size_t{16} << 20};
  Context context_{threads_, *GetParam(), scratch_};
};

INSTANTIATE_TEST_SUITE_P(Isa, Optimizer, ::testing::ValuesIn(kernels::available_tables()),
                         [](const auto& info) { return std::string(info.param->isa); });

/// From m = v = 0 the bias-corrected step is lr * g / (|g| + eps), after the decay.
TEST_P(Optimizer, FirstStepMovesByTheLearningRate) {
  std::vector<float> w = {1, -2, 3, 0.5f}, grad = {4, -1e-3f, 0, 1e-8f}, m(4), v(4);
  std::vector<double> want(4);
  for (int i = 0; i < 4; ++i) {
    const double g = grad[i];
    want[i] = w[i] * (1 - 0.01 * 0.1) - 0.01 * g / (std::abs(g) + 1e-8);
  }
  const auto view = [](std::vector<float>& x) { return Tensor::of(x.data(), {4}); };
  adamw_step(context_, view(w), view(m), view(v), view(grad),
             {.lr = 0.01f, .weight_decay = 0.1f, .step = 1}, {});
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(w[i], want[i], 1e-7 * (1 + std::abs(want[i]))) << i;
  EXPECT_FLOAT_EQ(m[0], 0.4f);
  EXPECT_FLOAT_EQ(v[0], 0.8f);
}

TEST_P(Optimizer, SumOfSquaresIsExactToFp64) {
  std::vector<float> x(100003);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 1000) * 1e-3f + 1e3f;
  double want = 0;
  for (float value : x) want += double{value} * double{value};
  const double got =
      sum_of_squares(context_, Tensor::of(x.data(), {static_cast<int64_t>(x.size())}));
  EXPECT_NEAR(got / want, 1.0, 1e-13);
}

TEST_P(Optimizer, SumsOfManyTensorsAreAddedInTheirOrder) {
  std::vector<float> x(70000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  const int64_t lengths[] = {17, 0, 40000, 1, 16384, 13000};
  std::vector<Tensor> tensors;
  double want = 0;
  int64_t elements = 0;
  for (const int64_t n : lengths) {
    tensors.push_back(Tensor::of(x.data() + elements, {n}));
    want += sum_of_squares(context_, tensors.back());
    elements += n;
  }
  const size_t before = context_.scratch.high_water();
  EXPECT_EQ(sum_of_squares(context_, tensors), want);
  EXPECT_LE(context_.scratch.high_water(),
            std::max(before, sum_of_squares_scratch(std::ssize(tensors), elements)));
}

TEST_P(Optimizer, SumOfSquaresPassesOnNanAndInfinity) {
  for (float bad : {INFINITY, std::nanf("")})
    for (int64_t at : {0, 31, 36}) {
      std::vector<float> x(37, 1.0f);
      x[at] = bad;
      const double sum = sum_of_squares(context_, Tensor::of(x.data(), {37}));
      EXPECT_EQ(std::isnan(sum), std::isnan(bad));
      EXPECT_FALSE(std::isfinite(sum));
    }
}

TEST_P(Optimizer, RefusesAWrongLength) {
  std::vector<float> w(4), m(3);
  const Tensor a = Tensor::of(w.data(), {4}), b = Tensor::of(m.data(), {3});
  EXPECT_THROW(adamw_step(context_, a, b, a, a, {}, {}), Error);
  EXPECT_THROW(adamw_step(context_, a, a, a, a, {.step = 0}, {}), Error);
}

}  // namespace
}  // namespace moge
