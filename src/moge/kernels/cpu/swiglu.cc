// SwiGLU forward and backward (kernels/swiglu.h). F expert hidden.
#include "moge/kernels/swiglu.h"

#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::SwigluBackward;
using moge::kernels::SwigluForward;
using moge::kernels::SwigluWeightedBackward;

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

/// dgate and dup at i; d silu(g) / dg = s * (1 + g * (1 - s)), s = sigmoid(g).
template <class X, class Dx, class Lanes>
inline void backward_at(const X* gate_F, Dx* dgate_F, int64_t F, int64_t i, Vec dact, Lanes lanes) {
  const Vec gate = load(gate_F + i, lanes), up = load(gate_F + F + i, lanes);
  const Vec s = sigmoid(gate), silu = gate * s;
  store(dgate_F + i, dact * up * fma(silu, 1.0f - s, s), lanes);
  store(dgate_F + F + i, dact * silu, lanes);
}

template <class X, class Dy, class Dx>
void backward(const SwigluBackward& a) noexcept {
  for (int64_t r = 0; r < a.R; ++r) {
    const X* gate_F = static_cast<const X*>(a.gate_up.data) + r * a.gate_up.stride_T;
    const Dy* dact_F = static_cast<const Dy*>(a.dact.data) + r * a.dact.stride_T;
    Dx* dgate_F = static_cast<Dx*>(a.dgate_up.data) + r * a.dgate_up.stride_T;
    for_vectors(a.F, [&](int64_t i, auto lanes) {
      backward_at(gate_F, dgate_F, a.F, i, load(dact_F + i, lanes), lanes);
    });
  }
}

template <class X>
void weighted_backward(const SwigluWeightedBackward& a) noexcept {
  for (int64_t r = 0; r < a.R; ++r) {
    const X* gate_F = static_cast<const X*>(a.gate_up.data) + r * a.gate_up.stride_T;
    const X* act_F = static_cast<const X*>(a.act.data) + r * a.act.stride_T;
    const X* dact_F = static_cast<const X*>(a.dact.data) + r * a.dact.stride_T;
    X* dgate_F = static_cast<X*>(a.dgate_up.data) + r * a.dgate_up.stride_T;
    X* weighted_F = static_cast<X*>(a.weighted_act.data) + r * a.weighted_act.stride_T;
    const float weight = a.weights_R[r];
    Vec dot{};
    for_vectors(a.F, [&](int64_t i, auto lanes) {
      const Vec act = load(act_F + i, lanes), dact = load(dact_F + i, lanes);
      dot = fma(act, dact, dot);
      store(weighted_F + i, weight * act, lanes);
      backward_at(gate_F, dgate_F, a.F, i, weight * dact, lanes);
    });
    a.dweights_R[r] = sum_lanes(dot);
  }
}

using F = float;
using B = BFloat16;

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const SwigluKernels kSwiglu = {
    .forward = {{forward<F, F>, forward<F, B>}, {forward<B, F>, forward<B, B>}},
    .backward = {{{backward<F, F, F>, backward<F, F, B>}, {backward<F, B, F>, backward<F, B, B>}},
                 {{backward<B, F, F>, backward<B, F, B>}, {backward<B, B, F>, backward<B, B, B>}}},
    .weighted_backward = {weighted_backward<F>, weighted_backward<B>}};
}
