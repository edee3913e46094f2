// SwiGLU forward and backward (kernels/swiglu.h). F expert hidden.
#include "moge/kernels/swiglu.h"

#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::SwigluBackward;
using moge::kernels::SwigluForward;

template <class X, class Y>
void forward(const SwigluForward& a) noexcept {
  for (int64_t r = 0; r < a.R; ++r) {
    const X* gate_F = static_cast<const X*>(a.gate_up.data) + r * a.gate_up.stride_T;
    Y* act_F = static_cast<Y*>(a.act.data) + r * a.act.stride_T;
    for_vectors(a.F, [&](int64_t i, auto lanes) {
      const Vec gate = load(gate_F + i, lanes), up = load(gate_F + a.F + i, lanes);
      store(act_F + i, gate * sigmoid(gate) * up, lanes);
    });
  }
}

/// d silu(g) / dg = s * (1 + g * (1 - s)), s = sigmoid(g).
template <class X, class Dy, class Dx>
void backward(const SwigluBackward& a) noexcept {
  for (int64_t r = 0; r < a.R; ++r) {
    const X* gate_F = static_cast<const X*>(a.gate_up.data) + r * a.gate_up.stride_T;
    const Dy* dact_F = static_cast<const Dy*>(a.dact.data) + r * a.dact.stride_T;
    Dx* dgate_F = static_cast<Dx*>(a.dgate_up.data) + r * a.dgate_up.stride_T;
    for_vectors(a.F, [&](int64_t i, auto lanes) {
      const Vec gate = load(gate_F + i, lanes), up = load(gate_F + a.F + i, lanes);
      const Vec dact = load(dact_F + i, lanes), s = sigmoid(gate), silu = gate * s;
      store(dgate_F + i, dact * up * fma(silu, 1.0f - s, s), lanes);
      store(dgate_F + a.F + i, dact * silu, lanes);
    });
  }
}

using F = float;
using B = BFloat16;

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const SwigluKernels kSwiglu = {
    .forward = {{forward<F, F>, forward<F, B>}, {forward<B, F>, forward<B, B>}},
    .backward = {{{backward<F, F, F>, backward<F, F, B>}, {backward<F, B, F>, backward<F, B, B>}},
                 {{backward<B, F, F>, backward<B, F, B>}, {backward<B, B, F>, backward<B, B, B>}}}};
}
