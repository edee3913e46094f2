// The frame of the programs that time other libraries' matrix products on the shapes of `moge bench
// gmm`: C[M,N] = A[M,K] B[N,K]^T for a few experts of a layer in one call, one product after
// another, as a user of the library would. Weights are packed before, if the library can.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "moge/runtime/topology.h"

namespace moge::peer {

struct Shape {
  int64_t rows = 0, n = 0, k = 0;  ///< rows of one expert
};

/// Products of one shape; weights of `copies` experts, filled with small numbers.
class Products {
 public:
  virtual ~Products() = default;
  virtual void multiply(int64_t copy, int64_t slot) = 0;  ///< slot: whose rows and results
  virtual void wait() {}
};

struct Library {
  std::string name;
  std::vector<std::string> formats;  ///< of bf16, fp32, int8
  /// (format, shape, copies, slots)
  std::function<std::unique_ptr<Products>(const std::string&, Shape, int64_t, int64_t)> make;
};

struct Options {
  std::string format;
  std::vector<std::string> shapes = {"2048x1024"};
  std::vector<int64_t> rows = {1, 64, 512};
  int64_t experts = 64, active = 8;
  double seconds = 0.3;
};

inline int64_t element_bytes(const std::string& format) {
  return format == "fp32" ? 4 : format == "bf16" ? 2 : 1;
}

/// Layers of experts that do not fit into four last-level caches together, as in `moge bench gmm`.
inline int64_t copies_of(const Options& options, Shape shape) {
  const int64_t layer = options.experts * shape.n * shape.k * element_bytes(options.format);
  const int64_t want = 4 * topology().last_level_cache_bytes;
  return options.experts * std::max<int64_t>(1, (want + layer - 1) / layer);
}

/// Median seconds of a call in which `active` experts have rows; the first call does not count.
inline double seconds_of(Products& products, const Options& options, int64_t copies) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  int64_t next = 0;
  const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
  for (int call = 0; call < 6 || Clock::now() < until; ++call) {
    const auto start = Clock::now();
    for (int64_t slot = 0; slot < options.active; ++slot) products.multiply(next++ % copies, slot);
    products.wait();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  seconds.erase(seconds.begin());
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<long>(seconds.size() / 2),
                   seconds.end());
  return seconds[seconds.size() / 2];
}

inline nlohmann::ordered_json time_shape(const Library& library, const Options& options,
                                         Shape shape) {
  const int64_t copies = copies_of(options, shape);
  const auto products = library.make(options.format, shape, copies, options.active);
  const double s = seconds_of(*products, options, copies);
  const auto cells = static_cast<double>(options.active * shape.n * shape.k);
  return {{"format", options.format},
          {"experts", options.experts},
          {"active_experts", options.active},
          {"rows_per_expert", shape.rows},
          {"n", shape.n},
          {"k", shape.k},
          {"ms", s * 1e3},
          {"gops", 2e-9 * cells * static_cast<double>(shape.rows) / s},
          {"gb_s", 1e-9 * cells * static_cast<double>(element_bytes(options.format)) / s}};
}

inline int main_of(const Library& library, int argc, char** argv) {
  Options options;
  CLI::App app("Times " + library.name + " on the shapes of `moge bench gmm`; one JSON object.");
  app.add_option("--format", options.format, "Of both sides")
      ->required()
      ->check(CLI::IsMember(library.formats));
  app.add_option("--shapes", options.shapes, "KxN")->delimiter(',');
  app.add_option("--rows", options.rows, "Rows of each active expert")->delimiter(',');
  app.add_option("--experts", options.experts, "Of a layer");
  app.add_option("--active", options.active, "Experts with rows in one call");
  app.add_option("--seconds", options.seconds, "To measure each row of the table");
  CLI11_PARSE(app, argc, argv);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& text : options.shapes) {
    Shape shape;
    if (std::sscanf(text.c_str(), "%ldx%ld", &shape.k, &shape.n) != 2 || shape.k < 1 ||
        shape.n < 1) {
      std::fprintf(stderr, "'%s' is not KxN\n", text.c_str());
      return 2;
    }
    for (const int64_t count : options.rows) {
      shape.rows = count;
      rows.push_back(time_shape(library, options, shape));
    }
  }
  std::puts(nlohmann::ordered_json{{"library", library.name}, {"rows", rows}}.dump().c_str());
  return 0;
}

}  // namespace moge::peer
