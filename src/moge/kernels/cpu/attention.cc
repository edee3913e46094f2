// Flash-style attention (Dao 2023) over blocks of lanes (kernels/attention.h). Scores are held
// transposed, S[key][lane], so that softmax runs down the columns of vectors, and every product is
// "broadcast an element, times a vector". Scores are in units of log2.
// C head dim, Cp the same rounded up to 16, L lanes of a block, K keys of a tile.
#include "moge/kernels/attention.h"

#include "moge/kernels/cpu/attention_few.inl"
#include "moge/kernels/cpu/attention_lanes.inl"
#include "moge/kernels/cpu/tile_product.inl"

namespace {

using moge::kernels::AttentionBackward;

constexpr float kLog2E = 1.44269504088896f, kLn2 = 0.693147180559945f;

/// Takes consecutive parts of a block of floats.
class Parts {
 public:
  explicit Parts(float* at) : at_(at) {}
  float* take(int64_t floats) { return (at_ += floats) - floats; }

 private:
  float* at_;
};

inline void fill(float* x, int64_t n, float value) {
  for (int64_t i = 0; i < n; i += kLanes) store(x + i, splat(value));
}

struct ForwardScratch {
  ForwardScratch(Parts parts, int64_t Cp)
      : rows_LC(parts.take(kL * Cp)),
        q_CL(parts.take(Cp * kL)),
        o_CL(parts.take(Cp * kL)),
        tile_KC(parts.take(kAttentionKeys * Cp)),
        s_KL(parts.take(kAttentionKeys * kL)),
        max_L(parts.take(kL)),
        sum_L(parts.take(kL)),
        factor_L(parts.take(kL)),
        few_CK(q_CL),
        few_LK(parts.take(kLanes / 2 * kFewStride)) {}
  float *rows_LC, *q_CL, *o_CL, *tile_KC, *s_KL, *max_L, *sum_L, *factor_L;
  float *few_CK, *few_LK;  ///< keys as columns and scores as rows, where lanes are few
};

inline Vec column_max(const float* s_KL, int num_keys, Vec start) {
  Vec best[4] = {start, start, start, start};  // four chains hide the latency
  int k = 0;
  for (; k + 4 <= num_keys; k += 4)
    for (int i = 0; i < 4; ++i) best[i] = max(best[i], load(s_KL + (k + i) * kL));
  for (; k < num_keys; ++k) best[0] = max(best[0], load(s_KL + k * kL));
  return max(max(best[0], best[1]), max(best[2], best[3]));
}

/// One tile's online softmax down column `at`: s becomes 2^(s - max); max, sum and factor updated.
void softmax_column(const ForwardScratch& w, int num_keys, int at) {
  float* s = w.s_KL + at;
  const Vec old_max = load(w.max_L + at);
  const Vec new_max = column_max(s, num_keys, old_max);
  // A lane that has seen no key yet keeps -inf; subtracting 0 instead avoids inf - inf.
  const Vec base = new_max == -__builtin_inff() ? splat(0.0f) : new_max;
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

void softmax_columns(const AttentionForward& f, const Lanes& lanes, KeyRange range,
                     const ForwardScratch& w) {
  mask(f, lanes, range, w.s_KL);
  for (int j = 0; j < lanes.vectors; ++j) softmax_column(w, range.size(), j * kLanes);
}

void forward_tile(const AttentionForward& f, const Lanes& lanes, KeyRange range,
                  const ForwardScratch& w) {
  const int C = f.head_dim;
  for_runs(f.keys, f.keys.k, f.keys.k_stride, range, C, w.tile_KC, [&](const Run& k) {
    multiply({.a = k.rows,
              .a_row = k.stride,
              .a_step = 1,
              .b = w.q_CL,
              .b_stride = kL,
              .depth = C,
              .out = w.s_KL + k.first * kL,
              .out_stride = kL},
             k.size, lanes.vectors);
  });
  softmax_columns(f, lanes, range, w);
  for_runs(f.keys, f.keys.v, f.keys.v_stride, range, C, w.tile_KC, [&](const Run& v) {
    multiply({.a = v.rows,
              .a_row = 1,
              .a_step = v.stride,
              .b = w.s_KL + v.first * kL,
              .b_stride = kL,
              .depth = v.size,
              .out = w.o_CL,
              .out_stride = kL,
              .start = v.first == 0 ? Start::kOutTimesFactor : Start::kOut,
              .factor = w.factor_L},
             C, lanes.vectors);
  });
}

/// The same for a few lanes: queries and outputs stay rows, q_LC and o_LC.
void forward_tile_few(const AttentionForward& f, const Lanes& lanes, KeyRange range,
                      const ForwardScratch& w) {
  const int C = f.head_dim;
  for_runs(f.keys, f.keys.k, f.keys.k_stride, range, C, w.tile_KC,
           [&](const Run& k) { few_scores(lanes, k, C, w.rows_LC, w.few_CK, w.few_LK); });
  few_to_columns(lanes, range.size(), w.few_LK, w.s_KL);
  softmax_columns(f, lanes, range, w);
  for (int l = 0; l < lanes.num; ++l)
    scale_rows(1, C, w.factor_L[l], w.o_CL + l * attention_padded_dim(C));
  for_runs(f.keys, f.keys.v, f.keys.v_stride, range, C, w.tile_KC,
           [&](const Run& v) { few_values(lanes, v, C, w.s_KL, w.o_CL); });
}

template <class T>
void write_forward(const AttentionForward& f, const Lanes& lanes, const ForwardScratch& w) {
  for (int l = 0; l < lanes.vectors * kLanes; l += kLanes) {
    const Vec sum = load(w.sum_L + l);
    store(w.factor_L + l, 1.0f / sum);
    store(w.max_L + l, fma(load(w.max_L + l), splat(kLn2), log(sum)));
  }
  T* out = static_cast<T*>(f.out);
  if (few_lanes(lanes, f.head_dim))
    write_rows(lanes, w.o_CL, w.factor_L, f.head_dim, f.out_stride, out);
  else
    write_columns(lanes, w.o_CL, w.factor_L, f.head_dim, f.out_stride, out);
  if (f.lse)
    for (int l = 0; l < lanes.num; ++l)
      f.lse[lanes.row[l] * f.lse_stride + lanes.head[l]] = w.max_L[l];
}

void forward(const AttentionForward& f, int64_t first_lane, int num_lanes,
             float* scratch) noexcept {
  const int C = f.head_dim;
  const Lanes lanes = place_lanes(f, first_lane, num_lanes);
  const ForwardScratch w(Parts(scratch), attention_padded_dim(C));
  const bool few = few_lanes(lanes, C);
  pack_rows(f, lanes, f.q, f.q_stride, w.rows_LC);
  if (few)
    scale_rows(lanes.num, C, f.scale * kLog2E, w.rows_LC);
  else
    to_columns(lanes, w.rows_LC, C, f.scale * kLog2E, w.q_CL);
  fill(w.o_CL, attention_padded_dim(C) * (few ? lanes.num : kL), 0.0f);
  fill(w.max_L, kL, -__builtin_inff());
  fill(w.sum_L, kL, 0.0f);
  for (int64_t tile = first_tile(f, lanes); tile <= lanes.last_position; tile += kAttentionKeys) {
    const KeyRange range = visible_keys(f, lanes, tile);
    few ? forward_tile_few(f, lanes, range, w) : forward_tile(f, lanes, range, w);
  }
  f.bf16 ? write_forward<BFloat16>(f, lanes, w) : write_forward<float>(f, lanes, w);
}

struct BackwardScratch {
  BackwardScratch(Parts parts, int64_t Cp)
      : q_CL(parts.take(Cp * kL)),
        do_CL(parts.take(Cp * kL)),
        dq_CL(parts.take(Cp * kL)),
        q_LC(parts.take(kL * Cp)),
        do_LC(parts.take(kL * Cp)),
        k_KC(parts.take(kAttentionKeys * Cp)),
        v_KC(parts.take(kAttentionKeys * Cp)),
        p_KL(parts.take(kAttentionKeys * kL)),
        ds_KL(parts.take(kAttentionKeys * kL)),
        lse_L(parts.take(kL)),
        delta_L(parts.take(kL)),
        scale_L(parts.take(kL)) {}
  float *q_CL, *do_CL, *dq_CL, *q_LC, *do_LC, *k_KC, *v_KC, *p_KL, *ds_KL, *lse_L, *delta_L,
      *scale_L;
};

/// Reads a block's rows; delta = dout . out, lse in units of log2; dq = 0.
void load_backward_block(const AttentionBackward& b, const Lanes& lanes, const BackwardScratch& w) {
  const AttentionForward& f = b.forward;
  const int C = f.head_dim, Cp = static_cast<int>(attention_padded_dim(C));
  pack_rows(f, lanes, f.out, f.out_stride, w.q_LC);
  pack_rows(f, lanes, b.dout, b.dout_stride, w.do_LC);
  fill(w.lse_L, kL, 0.0f);
  fill(w.delta_L, kL, 0.0f);
  for (int l = 0; l < lanes.num; ++l) {
    Vec sum{};
    for (int c = 0; c < Cp; c += kLanes)
      sum = fma(load(w.q_LC + l * Cp + c), load(w.do_LC + l * Cp + c), sum);
    w.delta_L[l] = sum_lanes(sum);
    w.lse_L[l] = f.lse[lanes.row[l] * f.lse_stride + lanes.head[l]] * kLog2E;
  }
  pack_rows(f, lanes, f.q, f.q_stride, w.q_LC);
  to_columns(lanes, w.q_LC, C, f.scale * kLog2E, w.q_CL);
  to_columns(lanes, w.do_LC, C, 1.0f, w.do_CL);
  fill(w.dq_CL, C * kL, 0.0f);
}

/// p = 2^(s - lse), ds = p (dp - delta); the scores come in p, dp in ds.
void softmax_backward(const BackwardScratch& w, int num_keys, int vectors) {
  for (int k = 0; k < num_keys; ++k)
    for (int j = 0; j < vectors; ++j) {
      const int at = k * kL + j * kLanes;
      const Vec p = exp2_nonpositive(load(w.p_KL + at) - load(w.lse_L + j * kLanes));
      store(w.p_KL + at, p);
      store(w.ds_KL + at, p * (load(w.ds_KL + at) - load(w.delta_L + j * kLanes)));
    }
}

/// The five products of a tile: s = k q, dp = v dout, dv += p dout, dk += ds q, dq += k ds.
void backward_tile(const AttentionBackward& b, const Lanes& lanes, KeyRange range,
                   const BackwardScratch& w) {
  const AttentionForward& f = b.forward;
  const int C = f.head_dim, num_keys = range.size();
  const int64_t Cp = attention_padded_dim(C);
  Run k, v;  // no block table: one run each
  for_runs(f.keys, f.keys.k, f.keys.k_stride, range, C, w.k_KC, [&](const Run& run) { k = run; });
  for_runs(f.keys, f.keys.v, f.keys.v_stride, range, C, w.v_KC, [&](const Run& run) { v = run; });
  multiply({.a = k.rows,
            .a_row = k.stride,
            .a_step = 1,
            .b = w.q_CL,
            .b_stride = kL,
            .depth = C,
            .out = w.p_KL,
            .out_stride = kL},
           num_keys, lanes.vectors);
  multiply({.a = v.rows,
            .a_row = v.stride,
            .a_step = 1,
            .b = w.do_CL,
            .b_stride = kL,
            .depth = C,
            .out = w.ds_KL,
            .out_stride = kL},
           num_keys, lanes.vectors);
  mask(f, lanes, range, w.p_KL);
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
  multiply({.a = k.rows,
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

/// x[t][0..C) = factor * sum_TC[t][0..C)
template <class T>
void write_sums(const float* sum_TC, int64_t num_rows, int C, float factor, int64_t stride, T* x) {
  const int64_t Cp = attention_padded_dim(C);
  for (int64_t t = 0; t < num_rows; ++t)
    for_vectors(C, [&](int64_t c, auto lanes) {
      store(x + t * stride + c, load(sum_TC + t * Cp + c) * factor, lanes);
    });
}

template <class T>
void backward_as(const AttentionBackward& b, float* scratch) {
  const AttentionForward& f = b.forward;
  const int C = f.head_dim;
  const int64_t Cp = attention_padded_dim(C), num_lanes = b.num_rows * f.group;
  const BackwardScratch w(Parts(scratch), Cp);
  fill(w.scale_L, kL, f.scale);
  fill(b.dk_acc, b.num_rows * Cp, 0.0f);
  fill(b.dv_acc, b.num_rows * Cp, 0.0f);
  for (int64_t first = 0; first < num_lanes; first += kL) {
    const Lanes lanes =
        place_lanes(f, first, static_cast<int>(num_lanes - first < kL ? num_lanes - first : kL));
    load_backward_block(b, lanes, w);
    for (int64_t tile = first_tile(f, lanes); tile <= lanes.last_position; tile += kAttentionKeys)
      backward_tile(b, lanes, visible_keys(f, lanes, tile), w);
    write_columns(lanes, w.dq_CL, w.scale_L, C, b.dq_stride, static_cast<T*>(b.dq));
  }
  write_sums(b.dk_acc, b.num_rows, C, f.scale, b.dk_stride, static_cast<T*>(b.dk));
  write_sums(b.dv_acc, b.num_rows, C, 1.0f, b.dv_stride, static_cast<T*>(b.dv));
}

void backward(const AttentionBackward& b, float* scratch) noexcept {
  if (b.forward.bf16)
    backward_as<BFloat16>(b, scratch);
  else
    backward_as<float>(b, scratch);
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const AttentionKernels kAttention = {.forward = forward, .backward = backward};
}
