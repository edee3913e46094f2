// The paged cache: the same bits however a prompt is cut, batched and threaded; equal to the
// training attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "moge/core/rng.h"
#include "moge/ops/attention.h"

namespace moge {
namespace {

struct Case {
  int64_t H, N, C, T, page_tokens, window;
};
const Case kCases[] = {{4, 2, 16, 150, 32, 0}, {5, 1, 8, 70, 16, 0},    {8, 4, 64, 80, 64, 0},
                       {3, 3, 20, 70, 5, 0},   {6, 2, 32, 70, 32, 1},   {4, 2, 24, 140, 16, 70},
                       {2, 1, 1, 40, 7, 3},    {16, 1, 16, 66, 128, 64}};

/// One sequence's rows, fp32; dense q [T, H, C], k and v [T, N, C].
struct Sequence {
  std::vector<float> q, k, v;
};
Sequence random_sequence(const Case& c, uint64_t seed) {
  Sequence s;
  const auto draw = [&](std::vector<float>& x, int64_t heads, const char* name) {
    x.resize(static_cast<size_t>(c.T * heads * c.C));
    const Rng rng(seed, name);
    for (size_t i = 0; i < x.size(); ++i) x[i] = rng.normal_at(i);
  };
  draw(s.q, c.H, "q");
  draw(s.k, c.N, "k");
  draw(s.v, c.N, "v");
  return s;
}

/// A cache for several sequences whose pages lie interleaved and start as NaN.
class Cache {
 public:
  Cache(const Case& c, DType dtype, int64_t num_sequences) : num_(num_sequences) {
    pages_each_ = (c.T + c.page_tokens - 1) / c.page_tokens;
    const auto elements = static_cast<size_t>(num_ * pages_each_ * c.N * c.page_tokens * c.C);
    k_.assign(elements * static_cast<size_t>(size_of(dtype)), '\xff');
    v_ = k_;
    kv = {k_.data(), v_.data(), dtype, c.page_tokens, c.N, c.C};
    for (int64_t s = 0; s < num_; ++s)
      for (int64_t i = 0; i < pages_each_; ++i)
        table_.push_back(static_cast<int32_t>((pages_each_ - 1 - i) * num_ + s));
  }
  std::span<const int32_t> pages(int64_t s) const {
    return std::span(table_).subspan(static_cast<size_t>(s * pages_each_),
                                     static_cast<size_t>(pages_each_));
  }
  PagedKv kv;

 private:
  int64_t num_, pages_each_ = 0;
  std::vector<char> k_, v_;
  std::vector<int32_t> table_;
};

/// Feeds the sequences to the cache: at each step every sequence takes next(s, done) more rows, in
/// one call. Returns the outputs, one sequence after the other.
template <class Next>
std::vector<float> decode(const Case& c, const std::vector<Sequence>& sequences, DType dtype,
                          const kernels::Table& table, int threads, Next next) {
  const auto count = static_cast<int64_t>(sequences.size());
  ThreadPool pool(threads);
  Arena none(64);
  Arena scratch(attention_scratch_bytes({pool, table, none}, count * c.T, c.H, c.N, c.C));
  const Context context{pool, table, scratch};
  Cache cache(c, dtype, count);
  std::vector<int64_t> done(sequences.size(), 0);
  std::vector<float> result(static_cast<size_t>(count * c.T * c.H * c.C));
  while (*std::min_element(done.begin(), done.end()) < c.T) {
    std::vector<SequenceSlice> slices;
    std::vector<float> q, k, v;
    int64_t rows = 0;
    for (int64_t s = 0; s < count; ++s) {
      const auto at = static_cast<size_t>(s);
      const int64_t num = std::min(c.T - done[at], next(s, done[at]));
      slices.push_back({rows, num, done[at], cache.pages(s)});
      const auto append = [&](std::vector<float>& to, const std::vector<float>& from,
                              int64_t heads) {
        const auto begin = from.begin() + done[at] * heads * c.C;
        to.insert(to.end(), begin, begin + num * heads * c.C);
      };
      append(q, sequences[at].q, c.H);
      append(k, sequences[at].k, c.N);
      append(v, sequences[at].v, c.N);
      rows += num;
    }
    std::vector<float> out(q.size() + 1);
    kv_write(context, Tensor::of(k.data(), {rows, c.N, c.C}),
             Tensor::of(v.data(), {rows, c.N, c.C}), slices, cache.kv);
    paged_attention(context, Tensor::of(q.data(), {rows, c.H, c.C}), slices, cache.kv,
                    {.scale = 1 / std::sqrt(static_cast<float>(c.C)), .window = c.window},
                    Tensor::of(out.data(), {rows, c.H, c.C}));
    EXPECT_EQ(scratch.used(), 0u);
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto row = c.H * c.C;
      std::copy_n(out.begin() + slices[s].first_row * row, slices[s].num_tokens * row,
                  result.begin() + (static_cast<int64_t>(s) * c.T + done[s]) * row);
      done[s] += slices[s].num_tokens;
    }
  }
  return result;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(PagedAttention, SameBitsHoweverThePromptIsCut) {
  for (const kernels::Table* table : kernels::available_tables())
    for (const Case& c : kCases)
      for (DType dtype : {DType::kF32, DType::kBF16}) {
        const std::string what = std::string(table->isa) + " " + name_of(dtype) + " T " +
                                 std::to_string(c.T) + " window " + std::to_string(c.window);
        const Sequence first = random_sequence(c, 1), second = random_sequence(c, 2);
        const auto whole = [&](int64_t, int64_t) { return c.T; };
        const auto alone = decode(c, {first}, dtype, *table, 1, whole);
        const auto by_token = [](int64_t, int64_t) { return int64_t{1}; };
        EXPECT_TRUE(same_bits(decode(c, {first}, dtype, *table, 1, by_token), alone)) << what;
        Rng rng(9, "cuts");
        const auto random_cuts = [&](int64_t, int64_t) {
          return static_cast<int64_t>(rng.below(90));
        };
        EXPECT_TRUE(same_bits(decode(c, {first}, dtype, *table, 3, random_cuts), alone)) << what;
        // One prefills in chunks while the other decodes, in the same calls.
        const auto mixed = [&](int64_t s, int64_t done) {
          return s == 0 || done < c.T / 2 ? static_cast<int64_t>(rng.below(40)) : int64_t{1};
        };
        const auto both = decode(c, {first, second}, dtype, *table, 2, mixed);
        const std::vector<float> left(both.begin(),
                                      both.begin() + static_cast<int64_t>(alone.size()));
        const std::vector<float> right(both.begin() + static_cast<int64_t>(alone.size()),
                                       both.end());
        EXPECT_TRUE(same_bits(left, alone)) << what;
        EXPECT_TRUE(same_bits(right, decode(c, {second}, dtype, *table, 1, whole))) << what;
      }
}

TEST(PagedAttention, EqualsTrainingAttention) {
  for (const kernels::Table* table : kernels::available_tables())
    for (const Case& c : kCases)
      for (DType dtype : {DType::kF32, DType::kBF16}) {
        Sequence s = random_sequence(c, 4);
        const auto got = decode(c, {s}, dtype, *table, 2, [&](int64_t, int64_t) { return c.T; });
        if (dtype == DType::kBF16)
          for (std::vector<float>* x : {&s.k, &s.v})
            for (float& a : *x) a = static_cast<float>(BFloat16(a));
        ThreadPool pool(1);
        Arena none(64);
        Arena scratch(attention_scratch_bytes({pool, *table, none}, c.T, c.H, c.N, c.C));
        std::vector<float> out(s.q.size()), lse(static_cast<size_t>(c.T * c.H));
        const std::vector<int32_t> offsets{0, static_cast<int32_t>(c.T)};
        attention_forward(
            {pool, *table, scratch}, Tensor::of(s.q.data(), {c.T, c.H, c.C}),
            Tensor::of(s.k.data(), {c.T, c.N, c.C}), Tensor::of(s.v.data(), {c.T, c.N, c.C}),
            offsets, {.scale = 1 / std::sqrt(static_cast<float>(c.C)), .window = c.window},
            Tensor::of(out.data(), {c.T, c.H, c.C}), Tensor::of(lse.data(), {c.T, c.H}));
        EXPECT_TRUE(same_bits(got, out)) << table->isa << " T " << c.T;
      }
}

TEST(PagedAttention, RefusesShortPageTables) {
  ThreadPool pool(1);
  Arena scratch(1 << 20);
  const Context context{pool, *kernels::available_tables().front(), scratch};
  std::vector<float> pages(4 * 8), q(8 * 8);
  const PagedKv cache{pages.data(), pages.data(), DType::kF32, 4, 1, 8};
  const std::vector<int32_t> page_table{0};
  const SequenceSlice slice{0, 2, 3, page_table};
  const Tensor rows = Tensor::of(q.data(), {2, 1, 8});
  try {
    paged_attention(context, rows, {&slice, 1}, cache, {}, rows);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[attention] sequence 0 has 1 pages, its 5 positions need 2");
  }
}

}  // namespace
}  // namespace moge
