#include "moge/kernels/table.h"

#include <array>
#include <cstdlib>

#include "moge/core/error.h"

namespace moge::kernels {

// One declaration per kernel file and instruction set; the definitions are in cpu/*.cc. Both macros
// hold one family of kernels a line.
// clang-format off
#define MOGE_DECLARE_ISA(isa)                   \
  namespace isa {                               \
  extern const AdamWKernels kAdamW;             \
  extern const AttentionKernels kAttention;     \
  extern const EagerAttentionKernels kEagerAttention; \
  extern const ElementwiseKernels kElementwise; \
  extern const GemmKernels kGemmF32;            \
  extern const GemmKernels kGemmBf16;           \
  extern const GmmKernels kGmm;                 \
  extern const LossKernels kLoss;               \
  extern const PagedAttentionKernels kPagedAttention; \
  extern const PeakKernels kPeak;               \
  extern const PermuteKernels kPermute;         \
  extern const RmsNormKernels kRmsNorm;         \
  extern const RopeKernels kRope;               \
  extern const RouteKernels kRoute;             \
  extern const SwigluKernels kSwiglu;           \
  }
#define MOGE_TABLE(isa_name)                    \
  Table {                                       \
    .isa = #isa_name,                           \
    .adamw = isa_name::kAdamW,                  \
    .attention = isa_name::kAttention,          \
    .eager_attention = isa_name::kEagerAttention, \
    .elementwise = isa_name::kElementwise,      \
    .gemm_f32 = isa_name::kGemmF32,             \
    .gemm_bf16 = isa_name::kGemmBf16,           \
    .gmm = isa_name::kGmm,                      \
    .loss = isa_name::kLoss,                    \
    .paged_attention = isa_name::kPagedAttention, \
    .peak = isa_name::kPeak,                    \
    .permute = isa_name::kPermute,              \
    .rmsnorm = isa_name::kRmsNorm,              \
    .rope = isa_name::kRope,                    \
    .route = isa_name::kRoute,                  \
    .swiglu = isa_name::kSwiglu,                \
  }
// clang-format on
MOGE_DECLARE_ISA(scalar)
MOGE_DECLARE_ISA(avx2)
MOGE_DECLARE_ISA(avx512)
MOGE_DECLARE_ISA(avx512_bf16)
#undef MOGE_DECLARE_ISA

namespace {

bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool runs_avx512_bf16() {
  return runs_avx512() && __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512bf16");
}

}  // namespace

const std::vector<const Table*>& available_tables() {
  static const std::array<Table, 4> kAll = [] {
    std::array<Table, 4> all = {MOGE_TABLE(avx512_bf16), MOGE_TABLE(avx512), MOGE_TABLE(avx2),
                                MOGE_TABLE(scalar)};
    // Intel starts four fp32 FMAs in the time of one dpbf16; the bits are the same either way.
    if (__builtin_cpu_is("intel")) {
      all[0].gemm_bf16 = all[1].gemm_bf16;
      all[0].paged_attention.dot_bf16 = false;
    }
    return all;
  }();
  static const std::vector<const Table*> kAvailable = [] {
    const bool runs[] = {runs_avx512_bf16(), runs_avx512(), runs_avx2(), true};
    std::vector<const Table*> tables;
    for (int i = 0; i < 4; ++i)
      if (runs[i]) tables.push_back(&kAll[i]);
    return tables;
  }();
  return kAvailable;
}

std::vector<std::string> compiled_isas() { return {"scalar", "avx2", "avx512", "avx512_bf16"}; }

const Table& choose_table(std::string_view isa) {
  const char* forced = std::getenv("MOGE_FORCE_ISA");
  if (isa.empty() && forced) isa = forced;
  if (isa.empty()) return *available_tables().front();
  std::string names;
  for (const Table* table : available_tables()) {
    if (isa == table->isa) return *table;
    names += std::string(names.empty() ? "" : ", ") + table->isa;
  }
  fail("[isa] '{}' is not available here; this CPU has {}", isa, names);
}

}  // namespace moge::kernels
