#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "moge/core/rng.h"
#include "moge/quant/pack.h"
#include "moge/quant/ref.h"
#include "moge/quant/round.h"

namespace moge::quant {
namespace {

std::vector<float> normal(int64_t k, uint64_t stream) {
  const Rng rng(1, stream);
  std::vector<float> w(static_cast<size_t>(k));
  for (size_t i = 0; i < w.size(); ++i) w[i] = 0.02f * rng.normal_at(i);
  return w;
}

TEST(Round, EightBitsAreThePlainForm) {
  for (int64_t k : {1, 2, 7, 96, 128, 192, 1000}) {
    const std::vector<float> w = normal(k, static_cast<uint64_t>(k));
    std::vector<int8_t> q(w.size());
    float scale = 0;
    ASSERT_TRUE(round_row_w8(w.data(), k, q.data(), &scale));
    EXPECT_EQ(scale, ref::absmax(w) / 127.5f);
    std::vector<float> back(w.size());
    expand_row_w8(q.data(), k, scale, back.data());
    for (size_t i = 0; i < w.size(); ++i) {
      EXPECT_EQ(q[i], ref::round(w[i], scale, 8)) << k << " " << i;
      EXPECT_EQ(back[i], static_cast<float>(q[i]) * scale);
      // Half a step, and the rounding of w / scale, of q * scale and of the difference.
      EXPECT_LE(std::fabs(back[i] - w[i]), scale * (0.5f + 3 * 128 * 0x1p-24f));
    }
  }
}

TEST(Round, FourBitsAreThePlainFormGroupByGroup) {
  for (int64_t k : {1, 64, 96, 128, 192, 256, 1000}) {
    const std::vector<float> w = normal(k, static_cast<uint64_t>(k) + 99);
    std::vector<int8_t> q(w.size());
    std::vector<BFloat16> scales(static_cast<size_t>(num_groups(k)));
    ASSERT_TRUE(round_row_w4(w.data(), k, q.data(), scales.data()));
    std::vector<float> back(w.size());
    expand_row_w4(q.data(), k, scales.data(), back.data());
    for (size_t g = 0; g < scales.size(); ++g) {
      const size_t begin = g * 128, end = std::min(w.size(), begin + 128);
      const std::vector<float> group(w.begin() + static_cast<int64_t>(begin),
                                     w.begin() + static_cast<int64_t>(end));
      EXPECT_EQ(scales[g], BFloat16(ref::absmax(group) / 7.5f));
      for (size_t i = begin; i < end; ++i) {
        EXPECT_EQ(q[i], ref::round(w[i], static_cast<float>(scales[g]), 4)) << k << " " << i;
        EXPECT_EQ(back[i], static_cast<float>(q[i]) * static_cast<float>(scales[g]));
      }
    }
  }
}

TEST(Round, ExtremesTiesAndZeros) {
  const float w[] = {127.5f, -127.5f, 0.5f, 1.5f, -2.5f, 0.0f};  // scale 1
  int8_t q[6];
  float scale = 0;
  ASSERT_TRUE(round_row_w8(w, 6, q, &scale));
  EXPECT_EQ(scale, 1.0f);
  EXPECT_EQ(std::vector<int8_t>(q, q + 6), (std::vector<int8_t>{127, -128, 0, 2, -2, 0}));
  const float zeros[3] = {0.0f, -0.0f, 0.0f};
  BFloat16 group_scale;
  ASSERT_TRUE(round_row_w4(zeros, 3, q, &group_scale));
  EXPECT_EQ(static_cast<float>(group_scale), kZeroScale);
  EXPECT_EQ(q[0] | q[1] | q[2], 0);
}

TEST(Round, ValuesThatAreNotFiniteAreReported) {
  int8_t q[4];
  float scale = 0;
  BFloat16 group_scale;
  for (float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::quiet_NaN()}) {
    const float w[] = {1.0f, bad, 3.0f, 0.0f};
    EXPECT_FALSE(round_row_w8(w, 4, q, &scale));
    EXPECT_FALSE(round_row_w4(w, 4, q, &group_scale));
  }
}

TEST(Pack, NibblesGoFromTheLowestBitsUp) {
  const int8_t q[] = {-8, -7, 0, 7, 1, 2, 3, 4, -1};
  char words[8];
  pack_row_w4(q, 9, words);
  const uint8_t want[] = {0x10, 0xf8, 0xa9, 0xcb, 0x07, 0, 0, 0};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(static_cast<uint8_t>(words[i]), want[i]) << i;
  for (int64_t k = 0; k <= 9; ++k) {
    int8_t back[9];
    pack_row_w4(q, k, words);
    unpack_row_w4(words, k, back);
    EXPECT_TRUE(std::equal(q, q + k, back)) << k;
  }
}

}  // namespace
}  // namespace moge::quant
