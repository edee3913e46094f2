// Register-only and read-only loops (kernels/peak.h). The empty asm statements keep the compiler
// from moving an invariant product out of the loop; they cost no instruction.
#include "moge/kernels/peak.h"

#include "moge/kernels/cpu/simd.inl"

namespace {

using moge::kernels::PeakLoop;

#if MOGE_VECTOR_BYTES == 64
using Int = __m512i;
#elif MOGE_VECTOR_BYTES == 32
using Int = __m256i;
#else
using Int = int32_t;
#endif

#if MOGE_VECTOR_BYTES == 4
using Float = float;
inline void keep(float& x) { asm volatile("" : "+x"(x)); }
inline void keep(int32_t& x) { asm volatile("" : "+r"(x)); }
inline float multiply_add(float a, float b, float c) { return a * b + c; }
#else
using Float = Vec;
template <class T>
inline void keep(T& x) {
  asm volatile("" : "+v"(x));
}
inline Vec multiply_add(Vec a, Vec b, Vec c) { return fma(a, b, c); }
#endif

struct F32Step {
  using Value = Float;
  static constexpr int64_t kOps = 2 * kLanes;
  static void apply(Float& sum, Float& a, Float b) { sum = multiply_add(a, b, sum); }
};

#ifdef MOGE_HAS_VNNI_BF16
struct Bf16Step {
  using Value = Int;
  static constexpr int64_t kOps = 4 * kLanes;
  static void apply(Int& sum, Int& a, Int b) {
    sum = (__m512i)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
};
struct Int8Step {
  using Value = Int;
  static constexpr int64_t kOps = 8 * kLanes;
  static void apply(Int& sum, Int& a, Int b) { sum = _mm512_dpbusd_epi32(sum, a, b); }
};
#else
using Bf16Step = F32Step;
struct Int8Step {
  using Value = Int;
#if MOGE_VECTOR_BYTES == 4
  static constexpr int64_t kOps = 2;
  static void apply(Int& sum, Int& a, Int b) {
    keep(a);
    sum += a * b;
  }
#elif MOGE_VECTOR_BYTES == 32
  static constexpr int64_t kOps = 8 * kLanes;
  static void apply(Int& sum, Int& a, Int b) {
    keep(a);
    const Int pairs = _mm256_maddubs_epi16(a, b);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
#else
  static constexpr int64_t kOps = 8 * kLanes;
  static void apply(Int& sum, Int& a, Int b) {
    keep(a);
    const Int pairs = _mm512_maddubs_epi16(a, b);
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
#endif
};
#endif

/// `kSums` independent accumulators, two rounds of them an iteration.
template <class Step, int kSums>
void run_loop(int64_t iterations, void* sink) noexcept {
  using Value = typename Step::Value;
  Value sums[kSums];
#pragma GCC unroll 32
  for (int s = 0; s < kSums; ++s) sums[s] = Value{};
  Value a{}, b{};
  keep(a);
  keep(b);
  for (int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 32
    for (int s = 0; s < kSums; ++s) {
      Step::apply(sums[s], a, b);
      keep(sums[s]);
    }
#pragma GCC unroll 32
    for (int s = 0; s < kSums; ++s) {
      Step::apply(sums[s], a, b);
      keep(sums[s]);
    }
  }
  Value total = sums[0];
#pragma GCC unroll 32
  for (int s = 1; s < kSums; ++s) total += sums[s];
  __builtin_memcpy(sink, &total, sizeof total);
}

template <class Step, int kSums>
constexpr PeakLoop loop() {
  return {.run = run_loop<Step, kSums>, .ops_per_iteration = 2 * kSums * Step::kOps};
}

typedef int64_t Words __attribute__((vector_size(MOGE_VECTOR_BYTES < 16 ? 8 : MOGE_VECTOR_BYTES)));

/// `kStreams` runs of memory read side by side; kAhead bytes fetched in advance (0: by the hardware
/// alone).
template <int kStreams, int kAhead>
int64_t read(const char* data, size_t bytes) noexcept {
  constexpr size_t kBlock = 256;
  const size_t stream_bytes = bytes / kStreams;
  Words sums[kStreams][4] = {};
  for (size_t offset = 0; offset < stream_bytes; offset += kBlock)
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
      const char* at = data + static_cast<size_t>(s) * stream_bytes + offset;
      if constexpr (kAhead > 0)
#pragma GCC unroll 4
        for (size_t line = 0; line < kBlock; line += 64) __builtin_prefetch(at + kAhead + line);
#pragma GCC unroll 32
      for (size_t i = 0; i < kBlock / sizeof(Words); ++i)
        sums[s][i % 4] |= reinterpret_cast<const Words*>(at)[i];
    }
  Words total{};
  for (auto& stream : sums)
    for (Words sum : stream) total |= sum;
  int64_t digest = 0;
  for (size_t i = 0; i < sizeof(Words) / 8; ++i) digest |= total[i];
  return digest;
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const PeakKernels kPeak = {
    .f32 = {loop<F32Step, 8>(), loop<F32Step, 10>(), loop<F32Step, 12>(), loop<F32Step, 13>()},
    // The last: Intel's cores take one dpbf16 for two FMAs, so widened bf16 may win.
    .bf16 = {loop<Bf16Step, 8>(), loop<Bf16Step, 12>(),
             loop<Bf16Step, MOGE_VECTOR_BYTES == 64 ? 20 : 13>(), loop<F32Step, 12>()},
    .int8 = {loop<Int8Step, 4>(), loop<Int8Step, 8>(), loop<Int8Step, 10>(),
             loop<Int8Step, MOGE_VECTOR_BYTES == 64 ? 20 : 12>()},
    .read = {read<1, 0>, read<4, 0>, read<1, 2048>}};
}
