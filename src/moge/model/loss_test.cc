// A whole step: the same bits for any number of threads and any recompute, and bf16 near fp32.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "moge/model/model.h"

namespace moge {
namespace {

ModelConfig small_model() {
  ModelConfig c = preset_config("tiny");
  c.layers.resize(2);
  c.vocab_size = 300;
  c.initializer_range = 0.08;
  return c;
}

struct Outcome {
  double loss = 0, aux = 0, router_z = 0, z = 0;
  Buffer grads;
  Tensor flat;
};

/// Two sequences of 24 and 40 tokens through forward and backward.
Outcome step(int num_threads, DType dtype, Recompute recompute) {
  const ModelConfig c = small_model();
  constexpr int64_t T = 64;
  ThreadPool threads(num_threads);
  const auto bytes = static_cast<size_t>(flat_size(list_params(c))) * sizeof(float);
  Buffer memory(bytes), rounded(bytes / 2);
  const Params params = view_params(c, memory.as<float>());
  init_params(threads, c, 1, params);
  Arena scratch(size_t{16} << 20);
  const Context context{threads, kernels::choose_table(), scratch};
  EXPECT_LE(scratch_bytes(context, c, T), scratch.capacity());
  Tensor bf16;
  if (dtype == DType::kBF16) {
    bf16 = Tensor::of(rounded.as<BFloat16>(), {params.flat.numel()});
    round_to_bf16(context, c, params, bf16);
  }
  const Model model = Model::make(c, training_weights(c, params, bf16), dtype, T);
  Arena arena(static_cast<size_t>(StepBuffers::bytes(c, T, dtype, recompute)));
  StepBuffers buffers(arena, c, T, dtype, recompute);
  std::vector<int32_t> ids(T), positions(T), targets(T), offsets = {0, 24, T};
  std::vector<float> mask(T, 1.0f);
  for (int32_t t = 0; t < T; ++t) {
    ids[t] = (t * 37 + 11) % 300;
    targets[t] = (t * 37 + 48) % 300;
    positions[t] = t < 24 ? t : t - 24;
  }
  mask[5] = 0.0f;
  targets[9] = -1;
  Outcome out;
  out.grads = Buffer(bytes);
  const Params grads = view_params(c, out.grads.as<float>());
  out.flat = grads.flat;
  const Batch batch{.ids_T = Tensor::of(ids.data(), {T}),
                    .positions_T = Tensor::of(positions.data(), {T}),
                    .offsets = offsets};
  const LossOptions options{.scale = 1.0f / 62,
                            .z_coeff = 1e-3f,
                            .aux_coeff = 0.01,
                            .router_z_coeff = 1e-3,
                            .router_scale = 0.5};
  const LossResult r = loss_forward_backward(context, model, batch, Tensor::of(targets.data(), {T}),
                                             Tensor::of(mask.data(), {T}), options, buffers, grads);
  EXPECT_EQ(r.mask_sum, 62.0);
  out.loss = r.loss_sum / r.mask_sum;
  out.aux = r.aux_L[0] + r.aux_L[1];
  out.router_z = r.router_z_L[0];
  out.z = r.z_sum;
  return out;
}

bool same_bits(const Outcome& a, const Outcome& b) {
  return a.loss == b.loss && a.aux == b.aux &&
         std::memcmp(a.grads.data(), b.grads.data(), static_cast<size_t>(a.flat.bytes())) == 0;
}

double cosine(const Tensor& a, const Tensor& b) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double x = a.as<float>()[i], y = b.as<float>()[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

TEST(Step, SameBitsForAnyThreadsAndAnyRecompute) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    const Outcome one = step(1, dtype, Recompute::kOff);
    EXPECT_TRUE(same_bits(one, step(3, dtype, Recompute::kOff))) << name_of(dtype);
    EXPECT_TRUE(same_bits(one, step(2, dtype, Recompute::kSelective))) << name_of(dtype);
    EXPECT_TRUE(same_bits(one, step(2, dtype, Recompute::kFull))) << name_of(dtype);
  }
}

TEST(Step, Bf16IsNearFp32) {
  const Outcome wide = step(2, DType::kF32, Recompute::kOff);
  const Outcome narrow = step(2, DType::kBF16, Recompute::kOff);
  EXPECT_GT(wide.loss, 1.0);
  EXPECT_NEAR(narrow.loss, wide.loss, 0.01 * wide.loss);
  EXPECT_NEAR(narrow.aux, wide.aux, 0.02 * wide.aux);
  // bf16 keeps 8 bits, and a token near a routing border changes its expert.
  EXPECT_GT(cosine(narrow.flat, wide.flat), 0.98);
}

TEST(Step, RouterLossesAreReportedUnscaled) {
  const Outcome out = step(1, DType::kF32, Recompute::kOff);
  // At perfect balance each layer's loss is the coefficient, 0.01; never below it by more than the
  // correlation of choices and probabilities allows.
  EXPECT_GT(out.aux, 0.015);
  EXPECT_LT(out.aux, 0.08);
  EXPECT_GT(out.router_z, 0.0);
  EXPECT_GT(out.z, 0.0);
}

}  // namespace
}  // namespace moge
