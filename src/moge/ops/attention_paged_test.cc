// The paged cache in every format: what is written, attention against the plain reference, and the
// same bits however a prompt is cut, batched and threaded.
#include "moge/ops/attention_paged.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "moge/core/rng.h"
#include "moge/kernels/ref/paged_attention.h"

namespace moge {
namespace {

struct Case {
  int64_t H, N, C, T, page_tokens, window;
};
const Case kCases[] = {{4, 2, 16, 150, 32, 0}, {5, 1, 8, 70, 16, 0},    {8, 4, 64, 80, 64, 0},
                       {3, 3, 20, 70, 48, 0},  {6, 2, 32, 70, 32, 1},   {4, 2, 24, 140, 16, 70},
                       {2, 1, 2, 40, 16, 3},   {16, 1, 16, 66, 16, 64}, {7, 1, 130, 45, 32, 0},
                       {10, 2, 128, 33, 16, 0}};
// More than one split, with and without a window that leaves the first.
const Case kLongCases[] = {{2, 1, 16, 1100, 32, 0}, {1, 1, 8, 1200, 16, 530}};

/// What rows and cache hold, and how they are multiplied.
struct Format {
  DType cache, rows;
};
const Format kFormats[] = {{DType::kF32, DType::kF32},   {DType::kBF16, DType::kF32},
                           {DType::kI8, DType::kF32},    {DType::kF32, DType::kBF16},
                           {DType::kBF16, DType::kBF16}, {DType::kI8, DType::kBF16}};

/// Every table of this machine; the one with a dot product of bf16 pairs with and without it.
std::vector<kernels::Table> tables() {
  std::vector<kernels::Table> all;
  for (const kernels::Table* table : kernels::available_tables()) {
    all.push_back(*table);
    if (std::string(table->isa) != "avx512_bf16") continue;
    all.push_back(*table);
    all.back().paged_attention.dot_bf16 = !table->paged_attention.dot_bf16;
  }
  return all;
}

std::string describe(const kernels::Table& table, const Case& c, const Format& f) {
  return fmt::format("{}{} cache {} rows {} H {} N {} C {} T {} P {} window {}", table.isa,
                     table.paged_attention.dot_bf16 ? "+dot" : "", name_of(f.cache),
                     name_of(f.rows), c.H, c.N, c.C, c.T, c.page_tokens, c.window);
}

/// One sequence's rows, fp32 that bf16 can hold; dense q [T, H, C], k and v [T, N, C].
struct Sequence {
  std::vector<float> q, k, v;
};
Sequence random_sequence(const Case& c, uint64_t seed) {
  Sequence s;
  const auto draw = [&](std::vector<float>& x, int64_t heads, const char* name) {
    x.resize(static_cast<size_t>(c.T * heads * c.C));
    const Rng rng(seed, name);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(BFloat16(rng.normal_at(i)));
  };
  draw(s.q, c.H, "q");
  draw(s.k, c.N, "k");
  draw(s.v, c.N, "v");
  return s;
}

/// Rows in the format of the case.
struct Rows {
  Rows(const std::vector<float>& x, DType dtype) : dtype(dtype), fp32(x) {
    for (float value : x) bf16.emplace_back(value);
  }
  Tensor view(std::initializer_list<int64_t> shape) {
    void* data = dtype == DType::kBF16 ? static_cast<void*>(bf16.data()) : fp32.data();
    return Tensor(data, dtype, shape);
  }
  std::vector<float> read() const {
    if (dtype == DType::kF32) return fp32;
    std::vector<float> x;
    for (BFloat16 value : bf16) x.push_back(static_cast<float>(value));
    return x;
  }
  DType dtype;
  std::vector<float> fp32;
  std::vector<BFloat16> bf16;
};

/// A cache for several sequences whose pages lie interleaved and start as NaN.
class Cache {
 public:
  Cache(const Case& c, DType dtype, int64_t num_sequences) : num_(num_sequences) {
    pages_each_ = (c.T + c.page_tokens - 1) / c.page_tokens;
    kv = {nullptr, dtype, c.page_tokens, c.N, c.C};
    memory_ = Buffer(static_cast<size_t>(num_ * pages_each_ * kv.page_bytes()));
    std::memset(memory_.data(), 0xff, memory_.size());
    kv.data = memory_.data();
    for (int64_t s = 0; s < num_; ++s)
      for (int64_t i = 0; i < pages_each_; ++i)
        table_.push_back(static_cast<int32_t>((pages_each_ - 1 - i) * num_ + s));
  }
  std::span<const int32_t> pages(int64_t s) const {
    return std::span(table_).subspan(static_cast<size_t>(s * pages_each_),
                                     static_cast<size_t>(pages_each_));
  }
  const char* block(int64_t s, int64_t position, int64_t n) const {
    const int64_t page = pages(s)[static_cast<size_t>(position / kv.page_tokens)];
    return memory_.data() + page * kv.page_bytes() + n * kv.page_bytes() / kv.kv_heads;
  }
  PagedKv kv;

 private:
  int64_t num_, pages_each_ = 0;
  Buffer memory_;
  std::vector<int32_t> table_;
};

AttentionOptions options_of(const Case& c) {
  return {.scale = 1 / std::sqrt(static_cast<float>(c.C)), .window = c.window};
}

struct Machine {
  Machine(const kernels::Table& table_in, int threads, const Case& c, int64_t rows)
      : table(table_in),
        pool(threads),
        scratch(paged_attention_scratch_bytes({pool, table, none}, rows, c.C)) {}
  Context context() { return {pool, table, scratch}; }
  const kernels::Table& table;
  ThreadPool pool;
  Arena none{64};
  Arena scratch;
};

/// Feeds the sequences to the cache: at each step every sequence takes next(s, done) more rows, in
/// one call. Returns the outputs, one sequence after the other.
template <class Next>
std::vector<float> decode(const Case& c, const std::vector<Sequence>& sequences, Format format,
                          const kernels::Table& table, int threads, Cache& cache, Next next) {
  const auto count = static_cast<int64_t>(sequences.size());
  Machine machine(table, threads, c, count * c.T);
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
    Rows q_rows(q, format.rows), k_rows(k, format.rows), v_rows(v, format.rows);
    Rows out(std::vector<float>(q.size() + 1), format.rows);
    kv_write(machine.context(), k_rows.view({rows, c.N, c.C}), v_rows.view({rows, c.N, c.C}),
             slices, cache.kv);
    paged_attention(machine.context(), q_rows.view({rows, c.H, c.C}), slices, cache.kv,
                    options_of(c), out.view({rows, c.H, c.C}));
    EXPECT_EQ(machine.scratch.used(), 0u);
    const std::vector<float> values = out.read();
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto row = c.H * c.C;
      std::copy_n(values.begin() + slices[s].first_row * row, slices[s].num_tokens * row,
                  result.begin() + (static_cast<int64_t>(s) * c.T + done[s]) * row);
      done[s] += slices[s].num_tokens;
    }
  }
  return result;
}
template <class Next>
std::vector<float> decode(const Case& c, const std::vector<Sequence>& sequences, Format format,
                          const kernels::Table& table, int threads, Next next) {
  Cache cache(c, format.cache, static_cast<int64_t>(sequences.size()));
  return decode(c, sequences, format, table, threads, cache, next);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_same_bits(const kernels::Table& table, const Case& c, Format format,
                      bool token_by_token) {
  const std::string what = describe(table, c, format);
  const Sequence first = random_sequence(c, 1), second = random_sequence(c, 2);
  const auto whole = [&](int64_t, int64_t) { return c.T; };
  const auto alone = decode(c, {first}, format, table, 1, whole);
  if (token_by_token) {
    const auto one = [](int64_t, int64_t) { return int64_t{1}; };
    EXPECT_TRUE(same_bits(decode(c, {first}, format, table, 1, one), alone)) << what;
  }
  Rng rng(9, "cuts");
  const int64_t most = std::max<int64_t>(90, c.T / 5);
  const auto random_cuts = [&](int64_t, int64_t) {
    return static_cast<int64_t>(rng.below(static_cast<uint64_t>(most)));
  };
  EXPECT_TRUE(same_bits(decode(c, {first}, format, table, 3, random_cuts), alone)) << what;
  // One prefills in chunks while the other's last part is decoded, in the same calls.
  const auto mixed = [&](int64_t s, int64_t done) {
    return s == 0 || done < c.T - 20 ? random_cuts(s, done) : int64_t{1};
  };
  const auto both = decode(c, {first, second}, format, table, 2, mixed);
  const auto middle = both.begin() + static_cast<int64_t>(alone.size());
  EXPECT_TRUE(same_bits({both.begin(), middle}, alone)) << what;
  EXPECT_TRUE(same_bits({middle, both.end()}, decode(c, {second}, format, table, 1, whole)))
      << what;
}

TEST(PagedAttention, SameBitsHoweverThePromptIsCut) {
  for (const kernels::Table& table : tables())
    for (const Case& c : kCases)
      for (Format format : kFormats) expect_same_bits(table, c, format, c.C < 64);
}

TEST(PagedAttention, SameBitsAcrossSplits) {
  for (const kernels::Table& table : tables())
    for (const Case& c : kLongCases)
      for (Format format : {kFormats[0], kFormats[4], kFormats[5]}) {
        expect_same_bits(table, c, format, /*token_by_token=*/false);
        // The last rows alone, cut into splits on many threads, and as a part of the prompt.
        const Sequence s = random_sequence(c, 3);
        const auto whole = [&](int64_t, int64_t) { return c.T; };
        const auto tail = [&](int64_t, int64_t done) { return done == 0 ? c.T - 2 : int64_t{1}; };
        const auto want = decode(c, {s}, format, table, 1, whole);
        for (int threads : {2, 5})
          EXPECT_TRUE(same_bits(decode(c, {s}, format, table, threads, tail), want))
              << describe(table, c, format) << " threads " << threads;
      }
}

/// Rounding errors of one element of the output, as a multiple of its norm (docs/numerics.md).
double tolerance(const Case& c, const Format& f, bool dot, const ref::PagedRow& want,
                 double q_max) {
  const double eps = 0x1p-24, C = static_cast<double>(c.C);
  double score = (C + 4) * eps * want.score_norm;
  if (f.cache == DType::kI8) score += want.key_norm * q_max / 32639;  // half a step, twice
  const double weights = dot ? 0x1p-8 : 0;                            // bf16 probabilities
  return 2 * score + weights + (static_cast<double>(c.T) + 40) * eps;
}

void expect_close(const kernels::Table& table, const Case& c, Format format) {
  const Sequence s = random_sequence(c, 4);
  Cache cache(c, format.cache, 1);
  const auto got = decode(c, {s}, format, table, 2, cache, [&](int64_t, int64_t) { return c.T; });
  const bool dot =
      table.paged_attention.dot_bf16 && format.cache == DType::kBF16 && format.rows == DType::kBF16;
  const AttentionOptions options = options_of(c);
  kernels::PagedAttention a{.page_bytes = cache.kv.page_bytes(),
                            .page_table = cache.pages(0).data(),
                            .window = c.window,
                            .scale = options.scale};
  a.layout = {format.cache == DType::kF32    ? kernels::KvFormat::kF32
              : format.cache == DType::kBF16 ? kernels::KvFormat::kBF16
                                             : kernels::KvFormat::kInt8,
              static_cast<int>(c.page_tokens), static_cast<int>(c.C)};
  for (int64_t t = c.T / 2; t < c.T; t += 1 + c.T / 20)
    for (int64_t h = 0; h < c.H; ++h) {
      a.blocks = static_cast<const char*>(cache.kv.data) + h / (c.H / c.N) * a.layout.block_bytes();
      const float* q = s.q.data() + (t * c.H + h) * c.C;
      const ref::PagedRow want = ref::paged_attention(a, t, q);
      double q_max = 0;
      for (int64_t i = 0; i < c.C; ++i)
        q_max = std::max(q_max, static_cast<double>(std::fabs(q[i])));
      const double relative = tolerance(c, format, dot, want, q_max);
      for (int64_t i = 0; i < c.C; ++i) {
        const auto at = static_cast<size_t>(i);
        const double rounding = format.rows == DType::kBF16 ? 0x1p-8 : 0x1p-23;
        double bound = relative * want.norm_C[at] + rounding * std::fabs(want.out_C[at]);
        // Each of a tile's 64 probabilities is rounded to a share of the largest (numerics.md).
        if (format.cache == DType::kI8) bound += 64 / (2 * 32639.0) * want.value_norm;
        const auto value = static_cast<double>(got[static_cast<size_t>((t * c.H + h) * c.C + i)]);
        ASSERT_NEAR(value, want.out_C[at], bound + 1e-30)
            << describe(table, c, format) << " t " << t << " h " << h << " c " << i;
      }
    }
}

TEST(PagedAttention, IsCloseToTheReference) {
  for (const kernels::Table& table : tables())
    for (Format format : kFormats) {
      for (const Case& c : kCases) expect_close(table, c, format);
      expect_close(table, kLongCases[1], format);
    }
}

/// Scores of an int8 cache are integers: equal on every instruction set, whatever dot product they
/// come from. With one key in sight the output is that key's value.
TEST(PagedAttention, TheCacheHoldsRoundedRows) {
  for (const kernels::Table& table : tables())
    for (const Case& c : kCases)
      for (Format format : kFormats) {
        const Sequence s = random_sequence(c, 5);
        Cache cache(c, format.cache, 1);
        decode(c, {s}, format, table, 2, cache, [](int64_t, int64_t) { return int64_t{7}; });
        const kernels::KvLayout layout{format.cache == DType::kF32    ? kernels::KvFormat::kF32
                                       : format.cache == DType::kBF16 ? kernels::KvFormat::kBF16
                                                                      : kernels::KvFormat::kInt8,
                                       static_cast<int>(c.page_tokens), static_cast<int>(c.C)};
        for (int64_t t = 0; t < c.T; ++t)
          for (int64_t n = 0; n < c.N; ++n)
            for (bool value : {false, true}) {
              const float* row = (value ? s.v : s.k).data() + (t * c.N + n) * c.C;
              float largest = 0;
              for (int64_t i = 0; i < c.C; ++i) largest = std::max(largest, std::fabs(row[i]));
              const double half_step =
                  format.cache == DType::kI8 ? 0.5001 * static_cast<double>(largest) / 127 : 0;
              const char* block = cache.block(0, t, n);
              const int slot = static_cast<int>(t % c.page_tokens);
              for (int i = 0; i < static_cast<int>(c.C); ++i) {
                const double got = value ? ref::kv_value(layout, block, slot, i)
                                         : ref::kv_key(layout, block, slot, i);
                ASSERT_NEAR(got, static_cast<double>(row[i]), half_step)
                    << describe(table, c, format) << " t " << t << " n " << n << " c " << i;
              }
            }
      }
}

TEST(PagedAttention, Int8CachesAreTheSameOnEveryInstructionSet) {
  const Case c = kCases[7];
  std::vector<char> first;
  for (const kernels::Table& table : tables()) {
    Cache cache(c, DType::kI8, 1);
    decode(c, {random_sequence(c, 6)}, {DType::kI8, DType::kBF16}, table, 1, cache,
           [&](int64_t, int64_t) { return c.T; });
    const char* data = static_cast<const char*>(cache.kv.data);
    const std::vector<char> bytes(data, data + c.T / 16 * cache.kv.page_bytes());
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first) << table.isa;
  }
}

TEST(PagedAttention, RotatesAndWritesAsTheTwoOpsDo) {
  const Case c{4, 2, 16, 40, 16, 0};
  const Sequence s = random_sequence(c, 7);
  std::vector<float> cos(50 * 8), sin(50 * 8);
  for (size_t i = 0; i < cos.size(); ++i) {
    cos[i] = std::cos(0.01f * static_cast<float>(i));
    sin[i] = std::sin(0.01f * static_cast<float>(i));
  }
  const RopeTable rope{Tensor::of(cos.data(), {50, 8}), Tensor::of(sin.data(), {50, 8})};
  std::vector<int32_t> positions(static_cast<size_t>(c.T));
  std::iota(positions.begin(), positions.end(), 0);
  const Tensor positions_T = Tensor::of(positions.data(), {c.T});
  for (const kernels::Table& table : tables())
    for (Format format : kFormats) {
      Machine machine(table, 2, c, c.T);
      Cache fused(c, format.cache, 1), apart(c, format.cache, 1);
      Rows q(s.q, format.rows), k(s.k, format.rows), v(s.v, format.rows), q2 = q, k2 = k;
      const auto heads = [&](Rows& x, int64_t n) { return x.view({c.T, n, c.C}); };
      const SequenceSlice slice{0, c.T, 0, fused.pages(0)};
      rope_and_kv_write(machine.context(), heads(q, c.H), heads(k, c.N), heads(v, c.N), positions_T,
                        rope, {&slice, 1}, fused.kv);
      rope_forward(machine.context(), heads(q2, c.H), positions_T, rope);
      rope_forward(machine.context(), heads(k2, c.N), positions_T, rope);
      kv_write(machine.context(), heads(k2, c.N), heads(v, c.N), {&slice, 1}, apart.kv);
      EXPECT_TRUE(same_bits(q.read(), q2.read())) << describe(table, c, format);
      EXPECT_TRUE(same_bits(k.read(), k2.read())) << describe(table, c, format);
      EXPECT_EQ(
          std::memcmp(fused.kv.data, apart.kv.data, static_cast<size_t>(3 * fused.kv.page_bytes())),
          0)
          << describe(table, c, format);
    }
}

void expect_refusal(const PagedKv& cache, const SequenceSlice& slice, const Tensor& rows,
                    const std::string& why) {
  ThreadPool pool(1);
  Arena scratch(1 << 20);
  const Context context{pool, *kernels::available_tables().front(), scratch};
  try {
    paged_attention(context, rows, {&slice, 1}, cache, {}, rows);
    FAIL() << why;
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), why);
  }
}

TEST(PagedAttention, RefusesWhatDoesNotFit) {
  alignas(64) static float pages[2 * 16 * 16 * 2];
  std::vector<float> q(8 * 1024);
  const std::vector<int32_t> page_table{0};
  const Tensor rows = Tensor::of(q.data(), {2, 1, 16});
  expect_refusal({pages, DType::kF32, 16, 1, 16}, {0, 2, 15, page_table}, rows,
                 "[attention] sequence 0 has 1 pages, its 17 positions need 2");
  expect_refusal({pages, DType::kF16, 16, 1, 16}, {0, 2, 0, page_table}, rows,
                 "[attention] the cache is float16, want float32, bfloat16 or int8");
  expect_refusal({pages, DType::kF32, 8, 1, 16}, {0, 2, 0, page_table}, rows,
                 "[attention] the cache has pages of 8 positions, 1 heads of 16; want a multiple "
                 "of 16");
  expect_refusal({pages, DType::kI8, 16, 1, 528}, {0, 2, 0, page_table},
                 Tensor::of(q.data(), {2, 1, 528}),
                 "[attention] heads of 528 are too wide for an int8 cache, which takes 512");
}

}  // namespace
}  // namespace moge
