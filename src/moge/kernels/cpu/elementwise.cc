// Sums, conversions and the sigmoid gate (kernels/elementwise.h).
#include "moge/kernels/elementwise.h"

#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::SigmoidGateBackward;
using moge::kernels::SigmoidGateForward;

template <class X>
void add(const void* from, float* y, int64_t n) noexcept {
  const X* x = static_cast<const X*>(from);
  for_vectors(n, [&](int64_t i, auto lanes) {
    store(y + i, load(y + i, lanes) + load(x + i, lanes), lanes);
  });
}

template <class X, class Y>
void cast(const void* from, void* to, int64_t n) noexcept {
  const X* x = static_cast<const X*>(from);
  Y* y = static_cast<Y*>(to);
  for_vectors(n, [&](int64_t i, auto lanes) { store(y + i, load(x + i, lanes), lanes); });
}

float sigmoid_of(float x) {
  float lanes[kLanes];
  store(lanes, sigmoid(splat(x)));
  return lanes[0];
}

template <class X>
void gate_forward(const SigmoidGateForward& a) noexcept {
  for (int64_t t = 0; t < a.T; ++t) {
    const Vec gate = splat(sigmoid_of(a.gate_T[t]));
    const X* x_D = static_cast<const X*>(a.x.data) + t * a.x.stride_T;
    float* y_D = static_cast<float*>(a.y.data) + t * a.y.stride_T;
    for_vectors(a.D, [&](int64_t i, auto lanes) {
      store(y_D + i, fma(gate, load(x_D + i, lanes), load(y_D + i, lanes)), lanes);
    });
  }
}

template <class X, class Dx>
void gate_backward(const SigmoidGateBackward& a) noexcept {
  for (int64_t t = 0; t < a.T; ++t) {
    const float gate = sigmoid_of(a.gate_T[t]);
    const X* x_D = static_cast<const X*>(a.x.data) + t * a.x.stride_T;
    const float* dy_D = static_cast<const float*>(a.dy.data) + t * a.dy.stride_T;
    Dx* dx_D = static_cast<Dx*>(a.dx.data) + t * a.dx.stride_T;
    Vec dot{};
    for_vectors(a.D, [&](int64_t i, auto lanes) {
      const Vec dy = load(dy_D + i, lanes);
      dot = fma(dy, load(x_D + i, lanes), dot);
      store(dx_D + i, gate * dy, lanes);
    });
    a.dgate_T[t] = sum_lanes(dot) * gate * (1.0f - gate);
  }
}

using F = float;
using B = BFloat16;

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const ElementwiseKernels kElementwise = {
    .add = {add<F>, add<B>},
    .cast = {{cast<F, F>, cast<F, B>}, {cast<B, F>, cast<B, B>}},
    .sigmoid_gate_forward = {gate_forward<F>, gate_forward<B>},
    .sigmoid_gate_backward = {{gate_backward<F, F>, gate_backward<F, B>},
                              {gate_backward<B, F>, gate_backward<B, B>}}};
}
