// Rows of the case table: embedding, RMSNorm, RoPE, SwiGLU, sigmoid gate, add, cast.
// T tokens, D model dim, V vocabulary, H heads, C head dim, R rows, F expert hidden.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>

#include "moge/kernels/ref/elementwise.h"
#include "moge/kernels/ref/rmsnorm.h"
#include "moge/kernels/ref/rope.h"
#include "moge/kernels/ref/swiglu.h"
#include "moge/ops/elementwise.h"
#include "moge/ops/test_cases.h"

namespace moge::testing {
namespace {

constexpr DType kF = DType::kF32, kB = DType::kBF16, kI = DType::kI32;
const char* short_name(DType type) { return type == kB ? "bf16" : "fp32"; }

struct Types {
  DType from, to;
};
constexpr Types kTypes[] = {{kF, kF}, {kF, kB}, {kB, kF}, {kB, kB}};

/// dx is a difference of two terms that cancel where x and dy * w are parallel (always at C = 1).
void rmsnorm_dx_norm(Values<double>& v, int64_t rows, int64_t C) {
  double* norm = v.norm("dx");
  for (int64_t r = 0; r < rows; ++r) {
    const double *dy = v["dy"] + r * C, *x = v["x"] + r * C, rstd = v["rstd"][r];
    double dot = 0;
    for (int64_t i = 0; i < C; ++i) dot += std::abs(dy[i] * v["w"][i] * x[i]);
    for (int64_t i = 0; i < C; ++i)
      norm[r * C + i] = std::abs(v["dx"][r * C + i]) +
                        rstd * (std::abs(dy[i] * v["w"][i]) +
                                std::abs(x[i]) * rstd * rstd * dot / static_cast<double>(C));
  }
}

OpRow rmsnorm_row(int64_t T, int64_t H, int64_t C, Types types, bool accumulate, int64_t gap) {
  constexpr float kEps = 1e-5f;
  OpRow row("rmsnorm",
            fmt::format("T={} H={} C={} x {} y {}{}{}", T, H, C, short_name(types.from),
                        short_name(types.to), accumulate ? " accumulate" : "", gap ? " gaps" : ""));
  const std::vector<int64_t> shape = H == 0 ? std::vector{T, C} : std::vector{T, H, C};
  const int64_t rows = H == 0 ? T : T * H;
  const double n = static_cast<double>(rows * C);
  const double from = static_cast<double>(size_of(types.from));
  const double to = static_cast<double>(size_of(types.to));
  row.input("x", types.from, shape, {.gap = gap})
      .input("w", kF, {C})
      .output("y", types.to, shape, {.gap = gap})
      .output("rstd", kF, {rows})
      .input("dy", types.to, shape, {.gap = gap});
  if (accumulate)
    row.sum("dx", types.from, shape, {.gap = gap});
  else
    row.output("dx", types.from, shape, {.gap = gap});
  row.sum("dw", kF, {C}, {.tolerance = 16});
  const auto forward = [=](auto& v) {
    ref::rmsnorm_forward(v["x"], v["w"], kEps, rows, C, v["y"], v["rstd"]);
  };
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              rmsnorm_forward(c, t["x"], t["w"], kEps, t["y"], t["rstd"]);
            },
            forward, n * (from + to), 4 * n});
  row.step({"backward_input",
            [=](const Context& c, const Tensors& t) {
              rmsnorm_backward_input(c, t["dy"], t["x"], t["w"], t["rstd"], accumulate, t["dx"]);
            },
            [=](Values<double>& v) {
              if (!accumulate) v.zero("dx");
              rmsnorm_dx_norm(v, rows, C);
              ref::rmsnorm_backward_input(v["dy"], v["x"], v["w"], v["rstd"], rows, C, v["dx"]);
            },
            n * (to + (accumulate ? 3 : 2) * from), 7 * n});
  row.step({"backward_weight",
            [=](const Context& c, const Tensors& t) {
              rmsnorm_backward_weight(c, t["dy"], t["x"], t["rstd"], t["dw"]);
            },
            [=](Values<double>& v) {
              ref::rmsnorm_backward_weight(v["dy"], v["x"], v["rstd"], rows, C, v["dw"]);
            },
            n * (from + to), 3 * n});
  return row.gradient({"x", "w"}, {"y"}, forward);
}

void rmsnorm_rows(OpRows& rows) {
  for (const Types& types : kTypes) {
    rows.push_back(rmsnorm_row(17, 0, 96, types, /*accumulate=*/true, /*gap=*/0));
    rows.push_back(rmsnorm_row(5, 3, 24, types, /*accumulate=*/false, /*gap=*/7));
  }
  for (int64_t C : {1, 7, 16, 33, 192})
    for (int64_t T : {0, 1, 35}) rows.push_back(rmsnorm_row(T, 0, C, {kF, kF}, T == 35, 0));
  rows.push_back(rmsnorm_row(2500, 0, 5, {kF, kF}, true, 0));  // more than 64 blocks of 32 rows
  rows.push_back(rmsnorm_row(4096, 0, 512, {kF, kF}, true, 0).only_perf());
  rows.push_back(rmsnorm_row(4096, 0, 512, {kF, kB}, true, 0).only_perf());
  rows.push_back(rmsnorm_row(4096, 8, 64, {kB, kB}, false, 0).only_perf());
}

OpRow rope_row(int64_t T, int64_t H, int64_t C, DType type, int64_t gap) {
  OpRow row("rope",
            fmt::format("T={} H={} C={} {}{}", T, H, C, short_name(type), gap ? " gaps" : ""));
  constexpr int64_t kPositions = 50;
  const auto angle = [=](int64_t i) {
    const double frequency =
        std::pow(10000.0, -2.0 * static_cast<double>(i % (C / 2)) / static_cast<double>(C));
    return static_cast<double>(i / (C / 2)) * frequency;
  };
  row.input("x", type, {T, H, C}, {.gap = gap})
      .input("positions", kI, {T}, {.fill = [](int64_t t) { return (t * 7) % kPositions; }})
      .input("cos", kF, {kPositions, C / 2}, {.fill = [=](int64_t i) { return cos(angle(i)); }})
      .input("sin", kF, {kPositions, C / 2}, {.fill = [=](int64_t i) { return sin(angle(i)); }})
      .output("y", type, {T, H, C}, {.gap = gap})
      .input("dy", type, {T, H, C}, {.gap = gap})
      .output("dx", type, {T, H, C}, {.gap = gap});
  const auto copy = [=](auto& v, const char* from, const char* to) {
    std::copy_n(v[from], T * H * C, v[to]);
  };
  const auto forward = [=](auto& v) {
    copy(v, "x", "y");
    ref::rope(v["y"], v.ids("positions"), v["cos"], v["sin"], T, H, C / 2, 1.0);
  };
  const double bytes = static_cast<double>(2 * T * H * C * size_of(type));
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              copy_rows(t["x"], t["y"]);
              rope_forward(c, t["y"], t["positions"], {t["cos"], t["sin"]});
            },
            forward, bytes, 3.0 * static_cast<double>(T * H * C)});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              copy_rows(t["dy"], t["dx"]);
              rope_backward(c, t["dx"], t["positions"], {t["cos"], t["sin"]});
            },
            [=](Values<double>& v) {
              copy(v, "dy", "dx");
              ref::rope(v["dx"], v.ids("positions"), v["cos"], v["sin"], T, H, C / 2, -1.0);
            },
            bytes, 3.0 * static_cast<double>(T * H * C)});
  return row.gradient({"x"}, {"y"}, forward);
}

void rope_rows(OpRows& rows) {
  for (DType type : {kF, kB}) {
    for (int64_t T : {0, 1, 19}) rows.push_back(rope_row(T, 3, 24, type, 0));
    rows.push_back(rope_row(9, 2, 2, type, 5));
    rows.push_back(rope_row(9, 2, 128, type, 3));
    rows.push_back(rope_row(4096, 12, 64, type, 0).only_perf());
  }
}

OpRow swiglu_row(int64_t R, int64_t F, Types types, int64_t gap, double scale) {
  OpRow row("swiglu",
            fmt::format("R={} F={} gate_up {} act {}{}{}", R, F, short_name(types.from),
                        short_name(types.to), gap ? " gaps" : "", scale > 1 ? " large" : ""));
  row.input("gate_up", types.from, {R, 2 * F}, {.scale = scale, .gap = gap})
      .output("act", types.to, {R, F}, {.gap = gap})
      .input("dact", types.to, {R, F}, {.gap = gap})
      .output("dgate_up", types.from, {R, 2 * F}, {.gap = gap});
  const auto forward = [=](auto& v) { ref::swiglu_forward(v["gate_up"], R, F, v["act"]); };
  const double n = static_cast<double>(R * F);
  const double from = static_cast<double>(size_of(types.from));
  const double to = static_cast<double>(size_of(types.to));
  row.step({"forward",
            [=](const Context& c, const Tensors& t) { swiglu_forward(c, t["gate_up"], t["act"]); },
            forward, n * (2 * from + to), 20 * n});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              swiglu_backward(c, t["gate_up"], t["dact"], t["dgate_up"]);
            },
            [=](Values<double>& v) {
              ref::swiglu_backward(v["gate_up"], v["dact"], R, F, v["dgate_up"]);
            },
            n * (4 * from + to), 25 * n});
  return row.gradient({"gate_up"}, {"act"}, forward);
}

OpRow swiglu_weighted_row(int64_t R, int64_t F, DType type, int64_t gap) {
  OpRow row("swiglu_weighted",
            fmt::format("R={} F={} {}{}", R, F, short_name(type), gap ? " gaps" : ""));
  row.input("gate_up", type, {R, 2 * F}, {.gap = gap})
      .input("weights", kF, {R})
      .output("act", type, {R, F}, {.gap = gap})
      .input("dy", type, {R, F}, {.gap = gap})
      .output("dgate_up", type, {R, 2 * F}, {.gap = gap})
      .output("y", type, {R, F}, {.gap = gap})
      .output("dweights", kF, {R}, {.tolerance = 16});
  const double n = static_cast<double>(R * F * size_of(type));
  row.step({"forward",
            [=](const Context& c, const Tensors& t) { swiglu_forward(c, t["gate_up"], t["act"]); },
            [=](Values<double>& v) { ref::swiglu_forward(v["gate_up"], R, F, v["act"]); }, 3 * n});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              swiglu_weighted_backward(c, t["gate_up"], t["act"], t["dy"], t["weights"],
                                       t["dgate_up"], t["y"], t["dweights"]);
            },
            [=](Values<double>& v) {
              ref::swiglu_weighted_backward(v["gate_up"], v["act"], v["dy"], v["weights"], R, F,
                                            v["dgate_up"], v["y"], v["dweights"]);
              double* norm = v.norm("dweights");
              for (int64_t i = 0; i < R * F; ++i) norm[i / F] += std::abs(v["act"][i] * v["dy"][i]);
            },
            7 * n});
  return row.gradient({"gate_up", "weights"}, {"y"}, [=](auto& v) {
    ref::swiglu_forward(v["gate_up"], R, F, v["act"]);
    ref::weigh_rows(v["act"], v["weights"], R, F, v["y"]);
  });
}

void swiglu_rows(OpRows& rows) {
  for (DType type : {kF, kB}) {
    rows.push_back(swiglu_weighted_row(13, 96, type, 3));
    for (int64_t F : {1, 15, 16, 56})
      for (int64_t R : {0, 1, 9}) rows.push_back(swiglu_weighted_row(R, F, type, 0));
    rows.push_back(swiglu_weighted_row(32768, 128, type, 0).only_perf());
  }
  for (const Types& types : kTypes) rows.push_back(swiglu_row(13, 96, types, 3, 1.0));
  for (int64_t F : {1, 15, 16, 56})
    for (int64_t R : {0, 1, 9}) rows.push_back(swiglu_row(R, F, {kF, kF}, 0, 1.0));
  rows.push_back(swiglu_row(7, 40, {kF, kF}, 0, 60.0));
  rows.push_back(swiglu_row(32768, 128, {kF, kF}, 0, 1.0).only_perf());
  rows.push_back(swiglu_row(32768, 128, {kB, kB}, 0, 1.0).only_perf());
}

OpRow embedding_row(int64_t T, int64_t D, int64_t V, DType type, int64_t gap) {
  OpRow row("embedding", fmt::format("T={} D={} V={} table {}{}", T, D, V, short_name(type),
                                     gap ? " gaps" : ""));
  row.input("ids", kI, {T}, {.fill = [=](int64_t t) { return (t * t + 3 * t) % V; }})
      .input("table", type, {V, D}, {.gap = gap})
      .output("x", kF, {T, D}, {.gap = gap})
      .input("dx", kF, {T, D}, {.gap = gap})
      .sum("dtable", kF, {V, D}, {.tolerance = 16, .gap = gap});
  const auto forward = [=](auto& v) {
    ref::embedding_forward(v.ids("ids"), v["table"], T, D, v["x"]);
  };
  const double n = static_cast<double>(T * D);
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              embedding_forward(c, t["ids"], t["table"], t["x"]);
            },
            forward, n * (4.0 + static_cast<double>(size_of(type)))});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              embedding_backward(c, t["ids"], t["dx"], t["dtable"]);
            },
            [=](Values<double>& v) {
              ref::embedding_backward(v.ids("ids"), v["dx"], T, D, v["dtable"]);
            },
            n * 12, n});
  return row.gradient({"table"}, {"x"}, forward);
}

void embedding_rows(OpRows& rows) {
  for (DType type : {kF, kB})
    for (int64_t T : {0, 1, 40}) {
      rows.push_back(embedding_row(T, 33, 11, type, 0));
      rows.push_back(embedding_row(T, 200, 1, type, 3));
    }
  rows.push_back(embedding_row(4096, 512, 4096, kF, 0).only_perf());
}

OpRow gate_row(int64_t T, int64_t D, Types types, int64_t gap) {
  OpRow row("sigmoid_gate", fmt::format("T={} D={} x {} dx {}{}", T, D, short_name(types.from),
                                        short_name(types.to), gap ? " gaps" : ""));
  row.input("gate", kF, {T})
      .input("x", types.from, {T, D}, {.gap = gap})
      .sum("y", kF, {T, D}, {.gap = gap})
      .input("dy", kF, {T, D}, {.gap = gap})
      .output("dx", types.to, {T, D}, {.gap = gap})
      .output("dgate", kF, {T}, {.tolerance = 16});
  const auto forward = [=](auto& v) { ref::sigmoid_gate_forward(v["gate"], v["x"], T, D, v["y"]); };
  const double n = static_cast<double>(T * D);
  row.step({"forward",
            [=](const Context& c, const Tensors& t) {
              sigmoid_gate_forward(c, t["gate"], t["x"], t["y"]);
            },
            forward, n * 12, 2 * n});
  row.step({"backward",
            [=](const Context& c, const Tensors& t) {
              sigmoid_gate_backward(c, t["gate"], t["x"], t["dy"], t["dx"], t["dgate"]);
            },
            [=](Values<double>& v) {
              ref::sigmoid_gate_backward(v["gate"], v["x"], v["dy"], T, D, v["dx"], v["dgate"]);
            },
            n * 12, 3 * n});
  return row.gradient({"gate", "x"}, {"y"}, forward);
}

void gate_rows(OpRows& rows) {
  for (const Types& types : kTypes) rows.push_back(gate_row(6, 50, types, 3));
  for (int64_t T : {0, 1}) rows.push_back(gate_row(T, 17, {kF, kF}, 0));
  rows.push_back(gate_row(4096, 512, {kF, kF}, 0).only_perf());
}

OpRow add_row(int64_t T, int64_t D, DType type, int64_t gap) {
  OpRow row("add", fmt::format("T={} D={} x {}{}", T, D, short_name(type), gap ? " gaps" : ""));
  row.input("x", type, {T, D}, {.gap = gap}).sum("y", kF, {T, D});
  row.step({"forward", [](const Context& c, const Tensors& t) { add(c, t["x"], t["y"]); },
            [=](Values<double>& v) {
              for (int64_t i = 0; i < T * D; ++i) v["y"][i] += v["x"][i];
            },
            static_cast<double>(T * D * (8 + size_of(type))), static_cast<double>(T * D)});
  return row;
}

OpRow cast_row(int64_t T, int64_t D, Types types, int64_t gap) {
  OpRow row("cast", fmt::format("T={} D={} {} to {}{}", T, D, short_name(types.from),
                                short_name(types.to), gap ? " gaps" : ""));
  row.input("x", types.from, {T, D}, {.gap = gap}).output("y", types.to, {T, D}, {.gap = gap});
  row.step({"forward", [](const Context& c, const Tensors& t) { cast(c, t["x"], t["y"]); },
            [=](Values<double>& v) { std::copy_n(v["x"], T * D, v["y"]); },
            static_cast<double>(T * D * (size_of(types.from) + size_of(types.to)))});
  return row;
}

OpRow fill_zero_row(int64_t T, int64_t D, DType type, int64_t gap) {
  OpRow row("fill_zero", fmt::format("T={} D={} {}{}", T, D, short_name(type), gap ? " gaps" : ""));
  row.output("y", type, {T, D}, {.gap = gap});
  row.step({"forward", [](const Context& c, const Tensors& t) { fill_zero(c, t["y"]); },
            [](Values<double>& v) { v.zero("y"); }, static_cast<double>(T * D * size_of(type))});
  return row;
}

void copying_rows(OpRows& rows) {
  for (int64_t T : {0, 1, 300})
    for (const Types& types : kTypes) {
      rows.push_back(cast_row(T, 37, types, 0));
      rows.push_back(cast_row(T, 129, types, 2));
    }
  for (DType type : {kF, kB})
    for (int64_t T : {0, 1, 300}) {
      rows.push_back(add_row(T, 65, type, 0));
      rows.push_back(add_row(T, 200, type, 3));
      rows.push_back(fill_zero_row(T, 65, type, 0));
      rows.push_back(fill_zero_row(T, 65, type, 3));
    }
  rows.push_back(add_row(4096, 512, kF, 0).only_perf());
  rows.push_back(cast_row(4096, 512, {kF, kB}, 0).only_perf());
  rows.push_back(fill_zero_row(4096, 512, kF, 0).only_perf());
}

const RegisterRows kRmsNorm(rmsnorm_rows), kRope(rope_rows), kSwiglu(swiglu_rows),
    kEmbedding(embedding_rows), kGate(gate_rows), kCopying(copying_rows);

}  // namespace
}  // namespace moge::testing
