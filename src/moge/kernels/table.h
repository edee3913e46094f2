// Every kernel of one instruction set. The list of tables runs from best to scalar; one is chosen
// once per process. Kernels see raw pointers and scalar types only, check nothing, are noexcept and
// single-threaded: ops/ cut the work into tasks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moge/kernels/adamw.h"
#include "moge/kernels/attention.h"
#include "moge/kernels/eager_attention.h"
#include "moge/kernels/elementwise.h"
#include "moge/kernels/gemm.h"
#include "moge/kernels/gmm.h"
#include "moge/kernels/loss.h"
#include "moge/kernels/paged_attention.h"
#include "moge/kernels/peak.h"
#include "moge/kernels/permute.h"
#include "moge/kernels/rmsnorm.h"
#include "moge/kernels/rope.h"
#include "moge/kernels/route.h"
#include "moge/kernels/swiglu.h"

namespace moge::kernels {

struct Table {
  const char* isa;  ///< "scalar", "avx2", "avx512", "avx512_bf16"
  AdamWKernels adamw;
  AttentionKernels attention;
  EagerAttentionKernels eager_attention;
  ElementwiseKernels elementwise;
  GemmKernels gemm_f32, gemm_bf16;
  GmmKernels gmm;
  LossKernels loss;
  PagedAttentionKernels paged_attention;
  PeakKernels peak;
  PermuteKernels permute;
  RmsNormKernels rmsnorm;
  RopeKernels rope;
  RouteKernels route;
  SwigluKernels swiglu;
};

/// Tables that this machine can run, best first; the last one is "scalar".
const std::vector<const Table*>& available_tables();

/// Names of all tables of this build, scalar first.
std::vector<std::string> compiled_isas();

/// The table named `isa`; empty: the one that MOGE_FORCE_ISA names, else the best.
/// Throws Error naming the available ones if it is unknown or this CPU lacks it.
const Table& choose_table(std::string_view isa = {});

}  // namespace moge::kernels
