// Flash-style attention (Dao 2023) over blocks of lanes (kernels/attention.h). Scores are held
// transposed, S[key][lane], so that softmax runs down the columns of vectors, and every product is
// "broadcast a key's element times a vector of lanes". Scores are in units of log2.
// C head dim, Cp the same rounded up to 16.
#include "moge/kernels/attention.h"

#include "moge/kernels/cpu/math.inl"
#include "moge/kernels/cpu/tile_product.inl"

namespace {

using moge::kernels::attention_padded_dim;
using moge::kernels::AttentionBackward;
using moge::kernels::AttentionForward;
using moge::kernels::AttentionKeys;
using moge::kernels::kAttentionKeys;
using moge::kernels::kAttentionLanes;

constexpr int kL = kAttentionLanes;
constexpr float kLog2E = 1.44269504088896f, kLn2 = 0.693147180559945f;
constexpr float kMinusInfinity = -__builtin_inff();

/// 2^t for t <= 0 (a little above is fine); 0 below -126. Degree 5, relative error 7.5e-8.
inline Vec exp2_nonpositive(Vec t) {
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: the sum's low bits are the rounded integer
  const Vec shifted = t + magic;
  const Vec r = t - (shifted - magic);
  Vec p = fma(splat(1.32764722e-3f), r, splat(9.67554133e-3f));
  p = fma(p, r, splat(5.55071327e-2f));
  p = fma(p, r, splat(2.40221197e-1f));
  p = fma(p, r, splat(6.93146967e-1f));
  p = fma(p, r, splat(1.00000007f));
  const Vec power = (Vec)((VecI)p + ((VecI)shifted << 23));
  return t < -126.0f ? splat(0.0f) : power;
}

/// Where the lanes of a block stand, and which keys they see.
struct Lanes {
  int64_t first;     ///< lane number of lane 0
  int num, vectors;  ///< lanes in use, and whole vectors that hold them
  int64_t first_position, last_position;
  int32_t position[kL];  ///< of every lane; those beyond num stand at last_position
};

Lanes place_lanes(const AttentionForward& f, int64_t first, int num) {
  Lanes lanes;
  lanes.first = first;
  lanes.num = num;
  lanes.vectors = (num + kLanes - 1) / kLanes;
  for (int l = 0; l < kL; ++l) {
    const int64_t lane = first + (l < num ? l : num - 1);
    lanes.position[l] = static_cast<int32_t>(f.first_position + lane / f.group);
  }
  lanes.first_position = lanes.position[0];
  lanes.last_position = lanes.position[kL - 1];
  return lanes;
}

/// Element offset of a lane's row in q-like arrays.
inline int64_t lane_offset(const AttentionForward& f, int64_t lane, int64_t stride) {
  return lane / f.group * stride + lane % f.group * f.head_dim;
}

inline float element(const void* p, bool bf16, int64_t i) {
  return bf16 ? float(static_cast<const BFloat16*>(p)[i]) : static_cast<const float*>(p)[i];
}
inline void put(void* p, bool bf16, int64_t i, float x) {
  if (bf16)
    static_cast<BFloat16*>(p)[i] = BFloat16(x);
  else
    static_cast<float*>(p)[i] = x;
}

/// rows[l][0..Cp) = the lanes' rows in fp32, zero beyond C and beyond num.
void pack_rows(const AttentionForward& f, const Lanes& lanes, const void* x, int64_t stride,
               float* rows) {
  const int C = f.head_dim, Cp = static_cast<int>(attention_padded_dim(C));
  for (int l = 0; l < kL; ++l) {
    const bool used = l < lanes.num;
    const int64_t at = used ? lane_offset(f, lanes.first + l, stride) : 0;
    for (int c = 0; c < Cp; ++c)
      rows[l * Cp + c] = used && c < C ? element(x, f.bf16, at + c) : 0.0f;
  }
}

/// columns[c][l] = factor * rows[l][c]
void transpose(const float* rows, int C, float factor, float* columns) {
  const int64_t Cp = attention_padded_dim(C);
  for (int c = 0; c < C; ++c)
    for (int l = 0; l < kL; ++l) columns[c * kL + l] = factor * rows[l * Cp + c];
}

/// A tile of keys or values as fp32 rows.
struct Rows {
  const float* at;
  int64_t stride;
};

/// Positions [begin, end) of k or v; copied to `tile` unless they already lie so.
Rows fetch(const AttentionKeys& keys, const void* base, int64_t stride, int64_t begin, int64_t end,
           int C, float* tile) {
  const bool one_block =
      !keys.block_table || begin / keys.block_rows == (end - 1) / keys.block_rows;
  const auto offset = [&](int64_t p) {
    if (!keys.block_table) return p * stride;
    return keys.block_table[p / keys.block_rows] * keys.block_stride + p % keys.block_rows * stride;
  };
  if (!keys.bf16 && one_block) return {static_cast<const float*>(base) + offset(begin), stride};
  const int64_t Cp = attention_padded_dim(C);
  for (int64_t p = begin; p < end; ++p) {
    float* row = tile + (p - begin) * Cp;
    const int64_t at = offset(p);
    for (int c = 0; c < C; ++c) row[c] = element(base, keys.bf16, at + c);
  }
  return {tile, Cp};
}

/// Keys [begin, end) of the tile at `tile_begin` that any lane sees.
struct KeyRange {
  int64_t begin, end;
};
KeyRange visible_keys(const AttentionForward& f, const Lanes& lanes, int64_t tile_begin) {
  int64_t begin = tile_begin;
  if (f.window > 0 && lanes.first_position - f.window + 1 > begin)
    begin = lanes.first_position - f.window + 1;
  const int64_t tile_end = tile_begin + kAttentionKeys;
  return {begin, lanes.last_position + 1 < tile_end ? lanes.last_position + 1 : tile_end};
}
int64_t first_tile(const AttentionForward& f, const Lanes& lanes) {
  if (f.window <= 0 || lanes.first_position < f.window) return 0;
  return (lanes.first_position - f.window + 1) / kAttentionKeys * kAttentionKeys;
}

/// Whether some lane does not see some key of the range.
bool needs_mask(const AttentionForward& f, const Lanes& lanes, KeyRange range) {
  return range.end - 1 > lanes.first_position ||
         (f.window > 0 && range.begin <= lanes.last_position - f.window);
}

/// s[key][lane] = value where the lane does not see the key.
void mask(const AttentionForward& f, const Lanes& lanes, KeyRange range, float value, float* s) {
  const int64_t reach = f.window > 0 ? f.window : lanes.last_position + 1;
  for (int64_t key = range.begin; key < range.end; ++key)
    for (int l = 0; l < lanes.vectors * kLanes; ++l) {
      const int64_t back = lanes.position[l] - key;
      if (back < 0 || back >= reach) s[(key - range.begin) * kL + l] = value;
    }
}

struct ForwardScratch {
  float *q_CL, *o_CL, *s_KL, *k_KC, *v_KC, *max_L, *sum_L, *factor_L, *rows_LC;
};
ForwardScratch forward_scratch(float* p, int64_t Cp) {
  ForwardScratch s;
  const auto take = [&p](int64_t floats) { return (p += floats) - floats; };
  s.q_CL = take(Cp * kL);
  s.o_CL = take(Cp * kL);
  s.s_KL = take(kAttentionKeys * kL);
  s.k_KC = take(kAttentionKeys * Cp);
  s.v_KC = take(kAttentionKeys * Cp);
  s.rows_LC = take(kL * Cp);
  s.max_L = take(kL);
  s.sum_L = take(kL);
  s.factor_L = take(kL);
  return s;
}

/// One tile's online softmax down column `at`: s becomes 2^(s - max); max, sum and factor updated.
void softmax_column(const ForwardScratch& w, int num_keys, int at) {
  float* s = w.s_KL + at;
  const Vec old_max = load(w.max_L + at);
  Vec new_max = old_max;
  for (int k = 0; k < num_keys; ++k) new_max = max(new_max, load(s + k * kL));
  // A lane that has seen no key yet keeps -inf; subtracting 0 instead avoids inf - inf.
  const Vec base = new_max == kMinusInfinity ? splat(0.0f) : new_max;
  // Exactly 1 where the maximum stays: a tile that a lane does not see must not change its bits.
  const Vec factor = new_max == old_max ? splat(1.0f) : exp2_nonpositive(old_max - base);
  Vec sum = load(w.sum_L + at) * factor;
  for (int k = 0; k < num_keys; ++k) {
    const Vec p = exp2_nonpositive(load(s + k * kL) - base);
    store(s + k * kL, p);
    sum += p;
  }
  store(w.max_L + at, new_max);
  store(w.sum_L + at, sum);
  store(w.factor_L + at, factor);
}

void forward_tile(const AttentionForward& f, const Lanes& lanes, KeyRange range,
                  const ForwardScratch& w) {
  const int C = f.head_dim, num_keys = static_cast<int>(range.end - range.begin);
  const Rows k = fetch(f.keys, f.keys.k, f.keys.k_stride, range.begin, range.end, C, w.k_KC);
  multiply({.a = k.at,
            .a_row = k.stride,
            .a_step = 1,
            .b = w.q_CL,
            .b_stride = kL,
            .depth = C,
            .out = w.s_KL,
            .out_stride = kL},
           num_keys, lanes.vectors);
  if (needs_mask(f, lanes, range)) mask(f, lanes, range, kMinusInfinity, w.s_KL);
  for (int j = 0; j < lanes.vectors; ++j) softmax_column(w, num_keys, j * kLanes);
  const Rows v = fetch(f.keys, f.keys.v, f.keys.v_stride, range.begin, range.end, C, w.v_KC);
  multiply({.a = v.at,
            .a_row = 1,
            .a_step = v.stride,
            .b = w.s_KL,
            .b_stride = kL,
            .depth = num_keys,
            .out = w.o_CL,
            .out_stride = kL,
            .start = Start::kOutTimesFactor,
            .factor = w.factor_L},
           C, lanes.vectors);
}

void write_forward(const AttentionForward& f, const Lanes& lanes, const ForwardScratch& w) {
  for (int l = 0; l < lanes.num; ++l) {
    const int64_t lane = lanes.first + l, at = lane_offset(f, lane, f.out_stride);
    const float inverse = 1.0f / w.sum_L[l];
    // + 0: a sum of -0 terms has the sign of zero that more masked keys would give it.
    for (int c = 0; c < f.head_dim; ++c)
      put(f.out, f.bf16, at + c, w.o_CL[c * kL + l] * inverse + 0.0f);
    if (f.lse)
      f.lse[lane / f.group * f.lse_stride + lane % f.group] =
          (w.max_L[l] + __builtin_log2f(w.sum_L[l])) * kLn2;
  }
}

void forward(const AttentionForward& f, int64_t first_lane, int num_lanes,
             float* scratch) noexcept {
  const int C = f.head_dim;
  const Lanes lanes = place_lanes(f, first_lane, num_lanes);
  const ForwardScratch w = forward_scratch(scratch, attention_padded_dim(C));
  pack_rows(f, lanes, f.q, f.q_stride, w.rows_LC);
  transpose(w.rows_LC, C, f.scale * kLog2E, w.q_CL);
  for (int i = 0; i < C * kL; ++i) w.o_CL[i] = 0.0f;
  for (int l = 0; l < kL; ++l) {
    w.max_L[l] = kMinusInfinity;
    w.sum_L[l] = 0.0f;
  }
  for (int64_t tile = first_tile(f, lanes); tile <= lanes.last_position; tile += kAttentionKeys)
    forward_tile(f, lanes, visible_keys(f, lanes, tile), w);
  write_forward(f, lanes, w);
}

struct BackwardScratch {
  float *q_CL, *do_CL, *dq_CL, *q_LC, *do_LC, *k_KC, *v_KC, *p_KL, *ds_KL, *lse_L, *delta_L;
};
BackwardScratch backward_scratch(float* p, int64_t Cp) {
  BackwardScratch s;
  const auto take = [&p](int64_t floats) { return (p += floats) - floats; };
  s.q_CL = take(Cp * kL);
  s.do_CL = take(Cp * kL);
  s.dq_CL = take(Cp * kL);
  s.q_LC = take(kL * Cp);
  s.do_LC = take(kL * Cp);
  s.k_KC = take(kAttentionKeys * Cp);
  s.v_KC = take(kAttentionKeys * Cp);
  s.p_KL = take(kAttentionKeys * kL);
  s.ds_KL = take(kAttentionKeys * kL);
  s.lse_L = take(kL);
  s.delta_L = take(kL);
  return s;
}

/// p[key][lane] = 2^(s - lse), ds = p * (dp - delta); the scores come in p, dp in ds.
void softmax_backward(const BackwardScratch& w, int num_keys, int vectors) {
  for (int k = 0; k < num_keys; ++k)
    for (int j = 0; j < vectors; ++j) {
      const int at = k * kL + j * kLanes;
      const Vec p = exp2_nonpositive(load(w.p_KL + at) - load(w.lse_L + j * kLanes));
      store(w.p_KL + at, p);
      store(w.ds_KL + at, p * (load(w.ds_KL + at) - load(w.delta_L + j * kLanes)));
    }
}

void backward_tile(const AttentionBackward& b, const Lanes& lanes, KeyRange range,
                   const BackwardScratch& w) {
  const AttentionForward& f = b.forward;
  const int C = f.head_dim, num_keys = static_cast<int>(range.end - range.begin);
  const int64_t Cp = attention_padded_dim(C);
  const Rows k = fetch(f.keys, f.keys.k, f.keys.k_stride, range.begin, range.end, C, w.k_KC);
  const Rows v = fetch(f.keys, f.keys.v, f.keys.v_stride, range.begin, range.end, C, w.v_KC);
  multiply({.a = k.at,
            .a_row = k.stride,
            .a_step = 1,
            .b = w.q_CL,
            .b_stride = kL,
            .depth = C,
            .out = w.p_KL,
            .out_stride = kL},
           num_keys, lanes.vectors);
  multiply({.a = v.at,
            .a_row = v.stride,
            .a_step = 1,
            .b = w.do_CL,
            .b_stride = kL,
            .depth = C,
            .out = w.ds_KL,
            .out_stride = kL},
           num_keys, lanes.vectors);
  if (needs_mask(f, lanes, range)) mask(f, lanes, range, kMinusInfinity, w.p_KL);
  softmax_backward(w, num_keys, lanes.vectors);
  const int columns = static_cast<int>(Cp) / kLanes;
  multiply({.a = w.p_KL,
            .a_row = kL,
            .a_step = 1,
            .b = w.do_LC,
            .b_stride = Cp,
            .depth = lanes.num,
            .out = b.dv_acc + range.begin * Cp,
            .out_stride = Cp,
            .start = Start::kOut},
           num_keys, columns);
  multiply({.a = w.ds_KL,
            .a_row = kL,
            .a_step = 1,
            .b = w.q_LC,
            .b_stride = Cp,
            .depth = lanes.num,
            .out = b.dk_acc + range.begin * Cp,
            .out_stride = Cp,
            .start = Start::kOut},
           num_keys, columns);
  multiply({.a = k.at,
            .a_row = 1,
            .a_step = k.stride,
            .b = w.ds_KL,
            .b_stride = kL,
            .depth = num_keys,
            .out = w.dq_CL,
            .out_stride = kL,
            .start = Start::kOut},
           C, lanes.vectors);
}

void load_backward_block(const AttentionBackward& b, const Lanes& lanes, const BackwardScratch& w) {
  const AttentionForward& f = b.forward;
  const int C = f.head_dim;
  const int64_t Cp = attention_padded_dim(C);
  pack_rows(f, lanes, f.out, f.out_stride, w.q_LC);
  pack_rows(f, lanes, b.dout, b.dout_stride, w.do_LC);
  for (int l = 0; l < kL; ++l) {
    Vec sum{};
    for (int c = 0; c < Cp; c += kLanes)
      sum = fma(load(w.q_LC + l * Cp + c), load(w.do_LC + l * Cp + c), sum);
    w.delta_L[l] = sum_lanes(sum);
    const int64_t lane = lanes.first + l;
    w.lse_L[l] =
        l < lanes.num ? f.lse[lane / f.group * f.lse_stride + lane % f.group] * kLog2E : 0.0f;
  }
  pack_rows(f, lanes, f.q, f.q_stride, w.q_LC);
  transpose(w.q_LC, C, f.scale * kLog2E, w.q_CL);
  transpose(w.do_LC, C, 1.0f, w.do_CL);
  for (int i = 0; i < C * kL; ++i) w.dq_CL[i] = 0.0f;
}

void backward(const AttentionBackward& b, float* scratch) noexcept {
  const AttentionForward& f = b.forward;
  const int C = f.head_dim;
  const int64_t Cp = attention_padded_dim(C), num_lanes = b.num_rows * f.group;
  const BackwardScratch w = backward_scratch(scratch, Cp);
  for (int64_t i = 0; i < b.num_rows * Cp; ++i) b.dk_acc[i] = b.dv_acc[i] = 0.0f;
  for (int64_t first = 0; first < num_lanes; first += kL) {
    const int num = static_cast<int>(num_lanes - first < kL ? num_lanes - first : kL);
    const Lanes lanes = place_lanes(f, first, num);
    load_backward_block(b, lanes, w);
    for (int64_t tile = first_tile(f, lanes); tile <= lanes.last_position; tile += kAttentionKeys)
      backward_tile(b, lanes, visible_keys(f, lanes, tile), w);
    for (int l = 0; l < num; ++l) {
      const int64_t at = lane_offset(f, first + l, b.dq_stride);
      for (int c = 0; c < C; ++c) put(b.dq, f.bf16, at + c, f.scale * w.dq_CL[c * kL + l]);
    }
  }
  for (int64_t t = 0; t < b.num_rows; ++t)
    for (int c = 0; c < C; ++c) {
      put(b.dk, f.bf16, t * b.dk_stride + c, f.scale * b.dk_acc[t * Cp + c]);
      put(b.dv, f.bf16, t * b.dv_stride + c, b.dv_acc[t * Cp + c]);
    }
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const AttentionKernels kAttention = {.forward = forward, .backward = backward};
}
