#include "moge/report/balance_svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "moge/core/error.h"

// L layers, E experts, D devices

namespace moge::report {

namespace {

constexpr int kLeft = 64, kTop = 48, kRowHeight = 12, kBarsHeight = 140, kGap = 64;
constexpr int kRight = 24;

using Counts = std::span<const int64_t>;

Counts layer_of(Counts rows_LE, int64_t layer, int64_t num_experts) {
  return rows_LE.subspan(static_cast<size_t>(layer * num_experts),
                         static_cast<size_t>(num_experts));
}

void check_input(const BalanceInput& in, int64_t devices) {
  check(in.num_experts > 0 && devices > 0 && in.num_experts % devices == 0,
        "[balance] {} experts do not divide into {} devices", in.num_experts, devices);
  check(in.num_groups > 0 && in.num_experts % in.num_groups == 0,
        "[balance] {} experts do not divide into {} groups", in.num_experts, in.num_groups);
  for (int64_t layer : in.moe_layers) {
    const auto need = static_cast<size_t>((layer + 1) * in.num_experts);
    check(layer >= 0 && in.routed_LE.size() >= need && in.plain_topk_LE.size() >= need,
          "[balance] layer {} lies outside of {} counts", layer, in.routed_LE.size());
  }
}

/// White at no row, mid blue at the layer's mean, dark from four times the mean on.
std::string colour(double times_mean) {
  const double t = std::clamp(times_mean / 4, 0.0, 1.0);
  const auto mix = [&](int from, int to) { return static_cast<int>(from + t * (to - from) + 0.5); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(255, 8), mix(255, 48), mix(255, 107));
}

std::string text(double x, double y, std::string_view anchor, std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     words);
}

std::string rectangle(double x, double y, double w, double h, std::string_view fill,
                      std::string_view title) {
  return fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
      "<title>{}</title></rect>\n",
      x, y, w, h, fill, title);
}

std::string heat_map(const BalanceInput& in, double cell) {
  std::string out;
  const auto E = in.num_experts;
  double y = kTop;
  for (int64_t layer : in.moe_layers) {
    const Counts rows_E = layer_of(in.routed_LE, layer, E);
    const auto all = std::accumulate(rows_E.begin(), rows_E.end(), int64_t{0});
    const double mean = std::max(static_cast<double>(all) / static_cast<double>(E), 1e-9);
    for (int64_t e = 0; e < E; ++e) {
      const int64_t rows = rows_E[static_cast<size_t>(e)];
      out += rectangle(kLeft + cell * static_cast<double>(e), y, cell, kRowHeight,
                       colour(static_cast<double>(rows) / mean),
                       fmt::format("layer {}, expert {}: {} rows", layer, e, rows));
    }
    out += text(kLeft - 6, y + kRowHeight - 2, "end", fmt::format("{}", layer));
    y += kRowHeight;
  }
  for (int64_t g = 0; g <= in.num_groups; ++g) {
    const double x = kLeft + cell * static_cast<double>(g * (E / in.num_groups));
    out +=
        fmt::format("<line class=\"group\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n",
                    x, kTop - 4, y + 4);
  }
  return out;
}

std::vector<int64_t> rows_by_device(Counts rows_E, int64_t devices) {
  std::vector<int64_t> rows_D(static_cast<size_t>(devices), 0);
  const size_t block = rows_E.size() / rows_D.size();
  for (size_t e = 0; e < rows_E.size(); ++e) rows_D[e / block] += rows_E[e];
  return rows_D;
}

/// The layer whose plain top-K is least even: sums over layers would let opposite skews cancel.
int64_t worst_plain_layer(const BalanceInput& in, int64_t devices) {
  const auto score = [&](int64_t layer) {
    return device_balance(layer_of(in.plain_topk_LE, layer, in.num_experts), in.tokens, devices)
        .imbalance_score;
  };
  return *std::max_element(in.moe_layers.begin(), in.moe_layers.end(),
                           [&](int64_t a, int64_t b) { return score(a) < score(b); });
}

std::string bars(const BalanceInput& in, int64_t devices, double top, double width) {
  const int64_t layer = worst_plain_layer(in, devices);
  const auto grouped_D = rows_by_device(layer_of(in.routed_LE, layer, in.num_experts), devices);
  const auto plain_D = rows_by_device(layer_of(in.plain_topk_LE, layer, in.num_experts), devices);
  const int64_t most = std::max({*std::max_element(grouped_D.begin(), grouped_D.end()),
                                 *std::max_element(plain_D.begin(), plain_D.end()), int64_t{1}});
  const double slot = width / static_cast<double>(devices), base = top + kBarsHeight;
  const auto bar = [&](size_t d, double offset, int64_t rows, std::string_view fill,
                       std::string_view router) {
    const double height = kBarsHeight * static_cast<double>(rows) / static_cast<double>(most);
    return rectangle(kLeft + slot * (static_cast<double>(d) + offset), base - height, slot * 0.38,
                     height, fill, fmt::format("device {}, {}: {} rows", d, router, rows));
  };
  std::string out =
      text(kLeft, top - 10, "start",
           fmt::format("Rows by device in layer {}: grouped choice (blue), plain top-K (orange)",
                       layer));
  for (size_t d = 0; d < grouped_D.size(); ++d) {
    out += bar(d, 0.1, grouped_D[d], "#2b6cb0", "grouped");
    out += bar(d, 0.52, plain_D[d], "#dd6b20", "plain top-K");
    out += text(kLeft + slot * (static_cast<double>(d) + 0.5), base + 14, "middle",
                fmt::format("{}", d));
  }
  out += text(kLeft - 6, top + 8, "end", fmt::format("{}", most));
  return out + text(kLeft - 6, base, "end", "0");
}

std::string scores(const BalanceInput& in, int64_t devices, double y) {
  double grouped = 0, plain = 0;
  for (int64_t layer : in.moe_layers) {
    grouped += device_balance(layer_of(in.routed_LE, layer, in.num_experts), in.tokens, devices)
                   .imbalance_score;
    plain += device_balance(layer_of(in.plain_topk_LE, layer, in.num_experts), in.tokens, devices)
                 .imbalance_score;
  }
  const auto layers = static_cast<double>(in.moe_layers.size());
  const bool whole = in.num_groups % devices == 0;
  return text(
      kLeft, y, "start",
      fmt::format("Imbalance score on {} devices, mean over layers: {:.3f} grouped{}, "
                  "{:.3f} plain top-K",
                  devices, grouped / layers, whole ? "" : " (half groups)", plain / layers));
}

}  // namespace

std::string balance_svg(const BalanceInput& in, int64_t devices) {
  check_input(in, devices);
  const double cell = std::clamp(768.0 / static_cast<double>(in.num_experts), 3.0, 24.0);
  const double map_width = std::max(cell * static_cast<double>(in.num_experts), 520.0);
  const double map_end = kTop + kRowHeight * static_cast<double>(in.moe_layers.size());
  std::string body =
      text(kLeft, 20, "start",
           fmt::format("Rows by layer and expert: {} tokens, {} experts in {} groups", in.tokens,
                       in.num_experts, in.num_groups));
  body += text(kLeft - 6, kTop - 8, "end", "layer");
  double height = map_end + 16;
  body += heat_map(in, cell);
  if (!in.moe_layers.empty()) {
    body += bars(in, devices, map_end + kGap, map_width);
    height = map_end + kGap + kBarsHeight + 48;
    body += scores(in, devices, height - 12);
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
             "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"11\">\n"
             "<style>.group{{stroke:#444;stroke-width:1.2}}</style>\n"
             "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
             kLeft + map_width + kRight, height) +
         body + "</svg>\n";
}

}  // namespace moge::report
