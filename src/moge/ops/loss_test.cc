// Cross-entropy against its reference in double, on every table; the reference's gradient by
// complex step.
#include "moge/ops/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include "moge/core/rng.h"
#include "moge/kernels/ref/loss.h"

namespace moge {
namespace {

struct Case {
  int64_t T, V;
  float scale, z_coeff, spread;  ///< spread: standard deviation of the logits
};

const Case kCases[] = {{0, 5, 1, 0, 1},         {1, 1, 1, 0, 1},      {3, 2, 1, 0, 1},
                       {9, 17, 0.5f, 0, 3},     {8, 64, 1, 1e-3f, 3}, {5, 1000, 0.1f, 0, 30},
                       {7, 1025, 2, 1e-4f, 10}, {2, 153376, 1, 0, 2}};

struct Rows {
  std::vector<float> logits, loss, lse, mask;
  std::vector<BFloat16> dlogits;
  std::vector<int32_t> targets;
};

Rows inputs(const Case& c) {
  Rows r;
  const Rng rng(3, "logits");
  for (int64_t i = 0; i < c.T * c.V; ++i)
    r.logits.push_back(c.spread * rng.normal_at(static_cast<uint64_t>(i)));
  for (int64_t t = 0; t < c.T; ++t) {
    r.targets.push_back(t % 4 == 3 ? -100 : static_cast<int32_t>(t * 37 % c.V));
    r.mask.push_back(t % 3 == 2 ? 0.0f : t % 3 == 1 ? 0.5f : 1.0f);
  }
  r.loss.resize(static_cast<size_t>(c.T));
  r.lse.resize(static_cast<size_t>(c.T));
  r.dlogits.resize(r.logits.size());
  return r;
}

enum class Mode { kForward, kGradient, kGradientBf16 };

Rows run(const Case& c, const kernels::Table& table, int threads, Mode mode) {
  Rows r = inputs(c);
  ThreadPool pool(threads);
  Arena scratch(64);
  const Context context{pool, table, scratch};
  const Tensor logits = Tensor::of(r.logits.data(), {c.T, c.V});
  const Tensor targets = Tensor::of(r.targets.data(), {c.T});
  const Tensor mask = Tensor::of(r.mask.data(), {c.T});
  const Tensor loss = Tensor::of(r.loss.data(), {c.T}), lse = Tensor::of(r.lse.data(), {c.T});
  if (mode == Mode::kForward)
    cross_entropy_forward(context, logits, targets, mask, loss, lse);
  else
    cross_entropy_forward_backward(
        context, logits, targets, mask, c.scale, c.z_coeff, loss, lse,
        mode == Mode::kGradientBf16 ? Tensor::of(r.dlogits.data(), {c.T, c.V}) : Tensor());
  return r;
}

void check_case(const Case& c, const kernels::Table& table, Mode mode) {
  const Rows in = inputs(c), out = run(c, table, 2, mode);
  const std::string what = std::string(table.isa) + " V " + std::to_string(c.V);
  const double z = mode == Mode::kForward ? 0 : c.z_coeff;
  const double eps = 0x1p-24;
  for (int64_t t = 0; t < c.T; ++t) {
    const size_t at = static_cast<size_t>(t), row = static_cast<size_t>(t * c.V);
    const std::vector<double> logits(in.logits.begin() + static_cast<int64_t>(row),
                                     in.logits.begin() + static_cast<int64_t>(row) + c.V);
    double lse, largest = 0;
    for (double x : logits) largest = std::max(largest, std::abs(x));
    const double loss =
        ref::cross_entropy(logits.data(), c.V, in.targets[at], in.mask[at], z, &lse);
    // exp is within 2 ulp of an argument that is rounded once; chunks add at most 64 terms a lane.
    const double relative = eps * (70 + 2 * largest);
    EXPECT_NEAR(out.lse[at], lse, relative + 2 * eps * std::abs(lse)) << what;
    EXPECT_NEAR(out.loss[at], loss, relative + 4 * eps * (largest + z * lse * lse)) << what;
    if (mode == Mode::kForward) {
      EXPECT_EQ(out.logits[row], in.logits[row]);
      continue;
    }
    std::vector<double> gradient(logits.size());
    ref::cross_entropy_gradient(logits.data(), c.V, in.targets[at], in.mask[at], z,
                                gradient.data());
    const double out_eps = mode == Mode::kGradient ? eps : 0x1p-8;
    for (size_t v = 0; v < logits.size(); ++v) {
      const double got =
          mode == Mode::kGradient ? out.logits[row + v] : static_cast<float>(out.dlogits[row + v]);
      const double weight = c.scale * (1 + 2 * z * std::abs(lse));
      ASSERT_NEAR(got, c.scale * gradient[v],
                  weight * relative + out_eps * std::abs(c.scale * gradient[v]))
          << what << " row " << t << " v " << v;
    }
  }
}

TEST(CrossEntropy, EqualsReference) {
  for (const kernels::Table* table : kernels::available_tables())
    for (const Case& c : kCases)
      for (Mode mode : {Mode::kForward, Mode::kGradient, Mode::kGradientBf16})
        check_case(c, *table, mode);
}

TEST(CrossEntropy, SameBitsForAnyThreads) {
  for (const kernels::Table* table : kernels::available_tables())
    for (const Case& c : kCases) {
      const Rows one = run(c, *table, 1, Mode::kGradient);
      for (int threads : {2, 3}) {
        const Rows other = run(c, *table, threads, Mode::kGradient);
        EXPECT_TRUE(other.logits == one.logits && other.loss == one.loss && other.lse == one.lse);
      }
    }
}

TEST(CrossEntropy, ExtremeLogitsStayFinite) {
  for (const kernels::Table* table : kernels::available_tables()) {
    ThreadPool pool(1);
    Arena scratch(64);
    const Context context{pool, *table, scratch};
    std::vector<float> logits{3e38f, -3e38f, 1e4f, -INFINITY};
    std::vector<int32_t> targets{0};
    std::vector<float> mask{1}, loss{-1}, lse{-1};
    cross_entropy_forward_backward(context, Tensor::of(logits.data(), {1, 4}),
                                   Tensor::of(targets.data(), {1}), Tensor::of(mask.data(), {1}), 1,
                                   0, Tensor::of(loss.data(), {1}), Tensor::of(lse.data(), {1}),
                                   {});
    EXPECT_EQ(loss[0], 0.0f);
    EXPECT_EQ(logits, (std::vector<float>{0, 0, 0, 0}));
  }
}

TEST(CrossEntropy, ReferenceGradientByComplexStep) {
  constexpr int64_t kV = 7;
  constexpr double kStep = 1e-30, kMask = 0.5, kZ = 0.01;
  std::vector<double> logits(kV), gradient(kV);
  for (int64_t v = 0; v < kV; ++v)
    logits[static_cast<size_t>(v)] = Rng(5, "x").normal_at(static_cast<uint64_t>(v));
  ref::cross_entropy_gradient(logits.data(), kV, 2, kMask, kZ, gradient.data());
  for (size_t v = 0; v < logits.size(); ++v) {
    std::vector<std::complex<double>> x(logits.begin(), logits.end());
    x[v] += std::complex<double>(0, kStep);
    std::complex<double> lse;
    const double slope = ref::cross_entropy(x.data(), kV, 2, kMask, kZ, &lse).imag() / kStep;
    EXPECT_NEAR(slope, gradient[v], 1e-12);
  }
}

TEST(CrossEntropy, RefusesTargetsOutsideTheVocabulary) {
  ThreadPool pool(1);
  Arena scratch(64);
  const Context context{pool, *kernels::available_tables().front(), scratch};
  std::vector<float> logits(8), mask(2), loss(2), lse(2);
  std::vector<int32_t> targets{1, 4};
  try {
    cross_entropy_forward(context, Tensor::of(logits.data(), {2, 4}),
                          Tensor::of(targets.data(), {2}), Tensor::of(mask.data(), {2}),
                          Tensor::of(loss.data(), {2}), Tensor::of(lse.data(), {2}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[loss] target 4 of row 1 is outside a vocabulary of 4");
  }
}

}  // namespace
}  // namespace moge
