// Attention against its reference in double: case table x instruction sets x dtypes x threads.
// Tolerances: |x - ref| <= k * eps * norm, eps the output's unit roundoff, norm the largest
// magnitude that enters the sum (rows of p sum to 1).
#include "moge/ops/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include "moge/core/rng.h"
#include "moge/kernels/ref/attention.h"

namespace moge {
namespace {

struct Case {
  int64_t H, N, C;
  std::vector<int32_t> offsets;
  int64_t window = 0;
  int64_t num_tokens() const { return offsets.empty() ? 0 : offsets.back(); }
  float scale() const { return 1 / std::sqrt(static_cast<float>(C)); }
};

const Case kCases[] = {
    {1, 1, 8, {0, 1}},
    {1, 1, 1, {0, 3}},
    {2, 1, 16, {0, 0}},
    {2, 1, 16, {}},
    {4, 2, 24, {0, 0, 1, 1, 8, 45}},
    {6, 2, 32, {0, 70, 71, 201}},
    {8, 4, 64, {0, 129}},
    {3, 3, 20, {0, 65}},
    {5, 1, 8, {0, 131}},
    {4, 2, 128, {0, 33, 90}},
    {2, 1, 256, {0, 67}},
    {4, 2, 16, {0, 90, 300}, 1},
    {4, 2, 16, {0, 90, 300}, 7},
    {4, 4, 16, {0, 90, 300}, 64},
    {6, 2, 16, {0, 90, 300}, 100},
    {6, 2, 16, {0, 90}, 1000},
};

std::vector<float> random_floats(int64_t n, const char* name) {
  std::vector<float> x(static_cast<size_t>(n));
  const Rng rng(7, name);
  for (int64_t i = 0; i < n; ++i)
    x[static_cast<size_t>(i)] = rng.normal_at(static_cast<uint64_t>(i));
  return x;
}

/// q, k, v as column slices of one [T, (H + 2N) C] buffer, in fp32 or bf16, and the same in double.
struct Inputs {
  Inputs(const Case& a, DType dtype_in) : c(a), dtype(dtype_in) {
    width = (a.H + 2 * a.N) * a.C;
    const std::vector<float> x = random_floats(a.num_tokens() * width, "qkv");
    const std::vector<float> g = random_floats(a.num_tokens() * a.H * a.C, "dout");
    qkv = store(x);
    dout = store(g);
  }
  std::vector<char> store(const std::vector<float>& x) const {
    std::vector<char> bytes(std::max<size_t>(1, x.size() * static_cast<size_t>(size_of(dtype))));
    for (size_t i = 0; i < x.size(); ++i)
      if (dtype == DType::kF32)
        reinterpret_cast<float*>(bytes.data())[i] = x[i];
      else
        reinterpret_cast<BFloat16*>(bytes.data())[i] = BFloat16(x[i]);
    return bytes;
  }
  Tensor all() { return Tensor(qkv.data(), dtype, {c.num_tokens(), width}); }
  Tensor q() { return all().cols(0, c.H * c.C).split_last(c.C); }
  Tensor k() { return all().cols(c.H * c.C, (c.H + c.N) * c.C).split_last(c.C); }
  Tensor v() { return all().cols((c.H + c.N) * c.C, width).split_last(c.C); }
  Tensor dout_view() { return Tensor(dout.data(), dtype, {c.num_tokens(), c.H, c.C}); }

  Case c;
  DType dtype;
  int64_t width;
  std::vector<char> qkv, dout;
};

double value(const Tensor& x, int64_t t, int64_t h, int64_t c) {
  const int64_t i = t * x.stride[0] + h * x.stride[1] + c;
  return x.dtype == DType::kF32 ? x.as<float>()[i] : static_cast<float>(x.as<BFloat16>()[i]);
}

std::vector<double> dense(const Tensor& x, int64_t begin, int64_t end) {
  std::vector<double> y;
  for (int64_t t = begin; t < end; ++t)
    for (int64_t h = 0; h < x.dim(1); ++h)
      for (int64_t c = 0; c < x.dim(2); ++c) y.push_back(value(x, t, h, c));
  return y;
}

/// What one run of the op leaves.
struct Result {
  std::vector<char> out, dqkv;
  std::vector<float> lse;
  bool operator==(const Result&) const = default;
};

Result run(Inputs& in, const kernels::Table& table, int threads) {
  const Case& c = in.c;
  const int64_t T = c.num_tokens();
  ThreadPool pool(threads);
  Arena measure(64);
  const Context sizes{pool, table, measure};
  Arena scratch(attention_scratch_bytes(sizes, T, c.H, c.N, c.C));
  const Context context{pool, table, scratch};
  Result r;
  r.out.resize(std::max<size_t>(1, static_cast<size_t>(T * c.H * c.C * size_of(in.dtype))));
  r.dqkv.assign(in.qkv.size(), 0x55);
  r.lse.resize(static_cast<size_t>(T * c.H) + 1);
  const Tensor out(r.out.data(), in.dtype, {T, c.H, c.C});
  const Tensor lse = Tensor::of(r.lse.data(), {T, c.H});
  const Tensor d(r.dqkv.data(), in.dtype, {T, in.width});
  const AttentionOptions options{.scale = c.scale(), .window = c.window};
  attention_forward(context, in.q(), in.k(), in.v(), c.offsets, options, out, lse);
  attention_backward(context, in.q(), in.k(), in.v(), out, lse, in.dout_view(), c.offsets, options,
                     d.cols(0, c.H * c.C).split_last(c.C),
                     d.cols(c.H * c.C, (c.H + c.N) * c.C).split_last(c.C),
                     d.cols((c.H + c.N) * c.C, in.width).split_last(c.C));
  EXPECT_EQ(scratch.used(), 0u);
  return r;
}

double largest(const std::vector<double>& x) {
  double m = 0;
  for (double a : x) m = std::max(m, std::abs(a));
  return m;
}

/// The largest Euclidean norm of a row of C elements.
double largest_norm(const std::vector<double>& x, int64_t C) {
  double largest = 0, sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += x[i] * x[i];
    if (static_cast<int64_t>(i + 1) % C == 0) {
      largest = std::max(largest, std::sqrt(sum));
      sum = 0;
    }
  }
  return largest;
}

/// The most that all queries of a group together attend to one key.
double largest_mass(const ref::AttentionShape& a, const std::vector<double>& q,
                    const std::vector<double>& k) {
  std::vector<double> mass(static_cast<size_t>(a.T * a.N), 0.0), p;
  for (int64_t t = 0; t < a.T; ++t)
    for (int64_t h = 0; h < a.H; ++h) {
      ref::attention_row(a, q.data(), k.data(), t, h, p);
      for (size_t i = 0; i < p.size(); ++i)
        mass[(static_cast<size_t>(a.first_key(t)) + i) * static_cast<size_t>(a.N) +
             static_cast<size_t>(h / (a.H / a.N))] += p[i];
    }
  return largest(mass);
}

/// max |x - ref| <= tolerance, reported once.
void expect_near(const std::vector<double>& x, const std::vector<double>& ref, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(x.size(), ref.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(x[i] - ref[i]));
  EXPECT_LE(worst, tolerance) << what;
}

void check_case(const Case& c, DType dtype, const kernels::Table& table) {
  Inputs in(c, dtype);
  Result r = run(in, table, 2);
  const int64_t T = c.num_tokens();
  const Tensor out(r.out.data(), dtype, {T, c.H, c.C});
  const Tensor d(r.dqkv.data(), dtype, {T, in.width});
  const Tensor dq = d.cols(0, c.H * c.C).split_last(c.C);
  const Tensor dk = d.cols(c.H * c.C, (c.H + c.N) * c.C).split_last(c.C);
  const Tensor dv = d.cols((c.H + c.N) * c.C, in.width).split_last(c.C);
  for (size_t s = 0; s + 1 < c.offsets.size(); ++s) {
    const int64_t begin = c.offsets[s], end = c.offsets[s + 1], n = end - begin;
    const ref::AttentionShape shape{n, c.H, c.N, c.C, c.scale(), c.window};
    const auto q = dense(in.q(), begin, end), k = dense(in.k(), begin, end),
               v = dense(in.v(), begin, end), g = dense(in.dout_view(), begin, end);
    std::vector<double> o(q.size()), l(static_cast<size_t>(n * c.H)), rq(q.size()), rk(k.size()),
        rv(v.size());
    ref::attention_forward(shape, q.data(), k.data(), v.data(), o.data(), l.data());
    ref::attention_backward(shape, q.data(), k.data(), v.data(), g.data(), rq.data(), rk.data(),
                            rv.data());
    const std::string what = std::string(table.isa) + " " + name_of(dtype) + " sequence " +
                             std::to_string(s) + " C " + std::to_string(c.C) + " window " +
                             std::to_string(c.window);
    // A score's rounding errors are a few eps times |q| |k|; an error e of a score moves p by e p.
    const double eps = 0x1p-24, out_eps = dtype == DType::kF32 ? eps : 0x1p-8;
    const double score = c.scale() * largest_norm(q, c.C) * largest_norm(k, c.C);
    const double relative = eps * (8 + 4 * score);
    expect_near(dense(out, begin, end), o, (relative + out_eps) * largest(v), what + " out");
    const std::vector<double> lse(r.lse.begin() + begin * c.H, r.lse.begin() + end * c.H);
    expect_near(lse, l, relative, what + " lse");
    // ds = p (dp - delta): errors of out (its rounding included) enter through delta. A query's p
    // sum to 1, a key's to its mass.
    const double ds = (relative + out_eps) * 2 * largest_norm(g, c.C) * largest_norm(v, c.C);
    const double mass = largest_mass(shape, q, k);
    expect_near(dense(dq, begin, end), rq, c.scale() * ds * largest(k) + out_eps * largest(rq),
                what + " dq");
    expect_near(dense(dk, begin, end), rk,
                c.scale() * ds * mass * largest(q) + out_eps * largest(rk), what + " dk");
    expect_near(dense(dv, begin, end), rv, relative * mass * largest(g) + out_eps * largest(rv),
                what + " dv");
  }
}

TEST(Attention, EqualsReference) {
  for (const kernels::Table* table : kernels::available_tables())
    for (const Case& c : kCases)
      for (DType dtype : {DType::kF32, DType::kBF16}) check_case(c, dtype, *table);
}

TEST(Attention, SameBitsForAnyThreads) {
  for (const kernels::Table* table : kernels::available_tables())
    for (const Case& c : kCases) {
      Inputs in(c, DType::kF32);
      const Result one = run(in, *table, 1);
      EXPECT_TRUE(run(in, *table, 2) == one) << table->isa << " C " << c.C;
      EXPECT_TRUE(run(in, *table, 3) == one) << table->isa << " C " << c.C;
    }
}

/// sum(dout * out) of the reference for inputs x = [q, k, v].
std::complex<double> reference_loss(const ref::AttentionShape& a,
                                    const std::vector<std::complex<double>>& x,
                                    const std::vector<double>& dout) {
  const auto q = static_cast<size_t>(a.T * a.H * a.C), k = static_cast<size_t>(a.T * a.N * a.C);
  std::vector<std::complex<double>> out(q), lse(static_cast<size_t>(a.T * a.H));
  ref::attention_forward(a, x.data(), x.data() + q, x.data() + q + k, out.data(), lse.data());
  std::complex<double> sum = 0;
  for (size_t i = 0; i < q; ++i) sum += dout[i] * out[i];
  return sum;
}

TEST(Attention, ReferenceGradientByComplexStep) {
  constexpr double kStep = 1e-30;
  for (int64_t window : {0, 1, 3}) {
    const ref::AttentionShape a{6, 4, 2, 3, 0.6, window};
    const auto q = static_cast<size_t>(a.T * a.H * a.C), k = static_cast<size_t>(a.T * a.N * a.C);
    const std::vector<float> x = random_floats(static_cast<int64_t>(q + 2 * k), "x");
    const std::vector<float> g = random_floats(static_cast<int64_t>(q), "g");
    const std::vector<double> xd(x.begin(), x.end()), dout(g.begin(), g.end());
    std::vector<double> gradient(x.size());
    ref::attention_backward(a, xd.data(), xd.data() + q, xd.data() + q + k, dout.data(),
                            gradient.data(), gradient.data() + q, gradient.data() + q + k);
    for (size_t i = 0; i < x.size(); ++i) {
      std::vector<std::complex<double>> z(x.begin(), x.end());
      z[i] += std::complex<double>(0, kStep);
      EXPECT_NEAR(reference_loss(a, z, dout).imag() / kStep, gradient[i],
                  1e-12 * largest(gradient));
    }
  }
}

TEST(Attention, RefusesHeadsThatDoNotDivide) {
  ThreadPool pool(1);
  Arena scratch(1 << 20);
  const Context context{pool, *kernels::available_tables().front(), scratch};
  std::vector<float> x(2 * 3 * 8), lse(6);
  const Tensor q = Tensor::of(x.data(), {2, 3, 8}), k = Tensor::of(x.data(), {2, 2, 8});
  const std::vector<int32_t> offsets{0, 2};
  try {
    attention_forward(context, q, k, k, offsets, {}, q, Tensor::of(lse.data(), {2, 3}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[attention] 3 query heads, 2 key heads, 2 value heads, 3 output heads");
  }
}

}  // namespace
}  // namespace moge
