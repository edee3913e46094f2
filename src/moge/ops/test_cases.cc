#include "moge/ops/test_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>

#include "moge/core/rng.h"

namespace moge::testing {

namespace {

OpRows& registered() {
  static OpRows rows;
  return rows;
}

constexpr char kCanary = 0x5a;
constexpr int64_t kMargin = 256;  // bytes around an array that must keep the canary

/// One operand's memory: margins and gaps between rows hold a canary.
class Array {
 public:
  explicit Array(const Operand& operand) : operand_(operand) {
    columns_ = operand.shape.back();
    pitch_ = columns_ + operand.options.gap;
    size_ = size_of(operand.dtype);
    // Arrays with gaps stand for slices of something larger: not aligned to a vector.
    offset_ = kMargin + (operand.options.gap ? size_ : 0);
    const int64_t rows = columns_ ? operand.numel() / columns_ : 0;
    lines_.resize(static_cast<size_t>((offset_ + rows * pitch_ * size_ + kMargin) / 64 + 1));
    std::memset(lines_.data(), kCanary, lines_.size() * 64);
  }

  void set(int64_t i, double value) {
    if (operand_.dtype == DType::kF32) write(i, static_cast<float>(value));
    if (operand_.dtype == DType::kBF16) write(i, BFloat16(static_cast<float>(value)));
    if (operand_.dtype == DType::kI32) write(i, static_cast<int32_t>(value));
  }
  double get(int64_t i) const {
    if (operand_.dtype == DType::kF32) return read<float>(i);
    if (operand_.dtype == DType::kBF16) return float(read<BFloat16>(i));
    return read<int32_t>(i);
  }

  bool surroundings_intact() const {
    int64_t byte = 0;
    const auto canaries_until = [&](int64_t end) {
      for (; byte < end; ++byte)
        if (data()[byte] != kCanary) return false;
      return true;
    };
    const int64_t rows = columns_ ? operand_.numel() / columns_ : 0;
    for (int64_t r = 0; r < rows; ++r) {
      if (!canaries_until(byte_of(r * columns_))) return false;
      byte += columns_ * size_;
    }
    return canaries_until(static_cast<int64_t>(lines_.size()) * 64);
  }
  bool same_bytes(const Array& other) const {
    return std::memcmp(data(), other.data(), lines_.size() * 64) == 0;
  }

  Tensor view() {
    Tensor tensor;
    tensor.data = lines_.data()->bytes + offset_;
    tensor.dtype = operand_.dtype;
    tensor.rank = static_cast<int>(operand_.shape.size());
    int64_t step = 1;
    for (int d = tensor.rank - 1; d >= 0; --d) {
      tensor.shape[d] = operand_.shape[d];
      tensor.stride[d] = step;
      step *= d == tensor.rank - 1 ? pitch_ : operand_.shape[d];
    }
    return tensor;
  }

  const Operand& operand() const { return operand_; }

 private:
  struct alignas(64) Line {
    char bytes[64];
  };

  const char* data() const { return lines_.data()->bytes; }
  int64_t byte_of(int64_t i) const {
    return offset_ + (i / columns_ * pitch_ + i % columns_) * size_;
  }
  template <class T>
  void write(int64_t i, T value) {
    std::memcpy(lines_.data()->bytes + byte_of(i), &value, sizeof value);
  }
  template <class T>
  T read(int64_t i) const {
    T value;
    std::memcpy(&value, data() + byte_of(i), sizeof value);
    return value;
  }

  Operand operand_;
  std::vector<Line> lines_;
  int64_t columns_, pitch_, size_, offset_;
};

using Arrays = std::map<std::string, Array>;

/// Value i of an operand before the row runs: a draw, keyed by row and operand.
double draw(const OpRow& row, const Operand& operand, int64_t i) {
  if (operand.use == Use::kOutput)
    return operand.dtype == DType::kI32 ? double{INT32_MIN} : std::nan("");
  if (operand.options.fill) return operand.options.fill(i);
  return operand.options.scale *
         Rng(1, row.op + row.shape + operand.name).normal_at(static_cast<uint64_t>(i));
}

Arrays make_arrays(const OpRow& row) {
  Arrays arrays;
  for (const Operand& operand : row.operands) {
    Array& array = arrays.emplace(operand.name, Array(operand)).first->second;
    for (int64_t i = 0; i < operand.numel(); ++i) array.set(i, draw(row, operand, i));
  }
  return arrays;
}

Tensors views_of(Arrays& arrays) {
  Tensors tensors;
  for (auto& [name, array] : arrays) tensors.views[name] = array.view();
  return tensors;
}

/// What the reference starts from: exactly the numbers that the op sees.
Values<double> values_of(const Arrays& arrays) {
  Values<double> values;
  for (const auto& [name, array] : arrays) {
    const int64_t n = array.operand().numel();
    for (int64_t i = 0; i < n; ++i) {
      if (array.operand().dtype == DType::kI32)
        values.integers[name].push_back(static_cast<int32_t>(array.get(i)));
      else
        values.reals[name].push_back(array.get(i));
    }
    if (n == 0) values.reals[name], values.integers[name];
  }
  return values;
}

double rms(const std::vector<double>& x) {
  double sum = 0;
  int64_t count = 0;
  for (double v : x)
    if (std::isfinite(v)) {
      sum += v * v;
      ++count;
    }
  return count ? std::sqrt(sum / static_cast<double>(count)) : 0.0;
}

bool same_class(double got, double want) {
  if (std::isnan(want)) return std::isnan(got);
  return got == want;  // infinities
}

/// The first element of `array` that is too far from the reference, as a sentence.
std::string compare_reals(const Array& array, Values<double>& want) {
  const Operand& operand = array.operand();
  const std::vector<double>& expected = want.reals.at(operand.name);
  const auto norms = want.reals.find(operand.name + ".norm");
  const double mean = rms(expected);
  const double unit = operand.dtype == DType::kBF16 ? 0x1p-8 : 0x1p-23;
  for (int64_t i = 0; i < operand.numel(); ++i) {
    const double w = expected[i], g = array.get(i);
    const double norm = norms != want.reals.end() ? norms->second[i] : std::max(std::abs(w), mean);
    const double limit = unit * std::max(std::abs(w), 0x1p-125) +  // subnormals: one step
                         operand.options.tolerance * 0x1p-24 * norm;
    if (std::isfinite(w) ? std::abs(g - w) <= limit : same_class(g, w)) continue;
    return fmt::format("{}[{}] is {:.9g}, want {:.9g} (off by {:.3g}, limit {:.3g})", operand.name,
                       i, g, w, g - w, limit);
  }
  return {};
}

std::string compare_integers(const Array& array, const std::vector<int32_t>& expected) {
  for (int64_t i = 0; i < array.operand().numel(); ++i)
    if (array.get(i) != expected[i])
      return fmt::format("{}[{}] is {}, want {}", array.operand().name, i, array.get(i),
                         expected[i]);
  return {};
}

/// Puts the reference's values into the arrays, rounded to their types, and back.
void adopt(Arrays& arrays, Values<double>& values) {
  for (auto& [name, array] : arrays) {
    if (array.operand().use == Use::kInput) continue;
    for (int64_t i = 0; i < array.operand().numel(); ++i) {
      if (array.operand().dtype == DType::kI32) {
        array.set(i, values.ids(name)[i]);
      } else {
        array.set(i, values[name][i]);
        values[name][i] = array.get(i);
      }
    }
  }
}

std::string compare_step(const OpRow& row, const Arrays& before, const Arrays& after,
                         Values<double>& want) {
  for (const Operand& operand : row.operands) {
    const Array& array = after.at(operand.name);
    if (!array.surroundings_intact())
      return fmt::format("bytes around {} were overwritten", operand.name);
    if (operand.use == Use::kInput) {
      if (!array.same_bytes(before.at(operand.name)))
        return fmt::format("input {} was changed", operand.name);
      continue;
    }
    std::string error = operand.dtype == DType::kI32
                            ? compare_integers(array, want.integers.at(operand.name))
                            : compare_reals(array, want);
    if (!error.empty()) return error;
  }
  return {};
}

/// Threads, scratch and table of one run; scratch starts as NaN.
class Machine {
 public:
  Machine(const kernels::Table& table, int threads)
      : pool_(threads), scratch_(size_t{256} << 20), context_{pool_, table, scratch_} {}
  const Context& context() const { return context_; }
  void poison_scratch() {
    const ArenaScope scope(scratch_);
    std::memset(scratch_.allocate(1 << 18), 0xff, 1 << 18);
  }
  bool scratch_given_back() const { return scratch_.used() == 0; }

 private:
  ThreadPool pool_;
  Arena scratch_;
  Context context_;
};

}  // namespace

int64_t Operand::numel() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

RegisterRows::RegisterRows(void (*append)(OpRows&)) { append(registered()); }

const OpRows& op_table() { return registered(); }

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const OpRow& row : registered())
    if (std::find(names.begin(), names.end(), row.op) == names.end()) names.push_back(row.op);
  std::sort(names.begin(), names.end());
  return names;
}

void copy_rows(const Tensor& from, const Tensor& to) {
  const int64_t columns = from.dim(-1), rows = columns ? from.numel() / columns : 0;
  const int64_t inner = from.rank == 3 ? from.dim(1) : 1;
  const auto row = [&](const Tensor& x, int64_t r) {
    const int64_t offset =
        r / inner * x.stride[0] + (x.rank == 3 ? r % inner * x.stride[1] : int64_t{0});
    return static_cast<char*>(x.data) + offset * size_of(x.dtype);
  };
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(row(to, r), row(from, r), static_cast<size_t>(columns * size_of(from.dtype)));
}

namespace {

/// One step with `threads` threads on copies of the arrays.
Arrays run_step(const Step& step, const Arrays& before, Machine& machine) {
  Arrays arrays = before;
  machine.poison_scratch();
  step.run(machine.context(), views_of(arrays));
  return arrays;
}

std::string equal_bits(const Arrays& a, const Arrays& b, int threads) {
  for (const auto& [name, array] : a)
    for (int64_t i = 0; i < array.operand().numel(); ++i) {
      const double x = array.get(i), y = b.at(name).get(i);
      if (std::memcmp(&x, &y, sizeof x) != 0)
        return fmt::format("{}[{}] is {:.9g} with 1 thread and {:.9g} with {}", name, i, x, y,
                           threads);
    }
  return {};
}

}  // namespace

std::string check_row(const OpRow& row, const kernels::Table& table) {
  Arrays arrays = make_arrays(row);
  Values<double> values = values_of(arrays);
  Machine machines[] = {{table, 1}, {table, 2}, {table, 3}};
  for (const Step& step : row.steps) {
    step.reference(values);
    std::optional<Arrays> first;
    for (Machine& machine : machines) {
      const int threads = machine.context().num_threads();
      Arrays after = run_step(step, arrays, machine);
      std::string error =
          first ? equal_bits(*first, after, threads) : compare_step(row, arrays, after, values);
      if (error.empty() && !machine.scratch_given_back()) error = "scratch was not given back";
      if (!error.empty())
        return fmt::format("{} {} {} on {}: {}", row.op, row.shape, step.name, table.isa, error);
      if (!first) first = std::move(after);
    }
    adopt(arrays, values);
  }
  return {};
}

namespace {

Values<std::complex<double>> to_complex(const Values<double>& values) {
  Values<std::complex<double>> result;
  result.integers = values.integers;
  for (const auto& [name, list] : values.reals) result.reals[name].assign(list.begin(), list.end());
  return result;
}

/// Outputs and sums start at 0, so that d<input> holds the gradient alone.
Values<double> start_of_gradient(const OpRow& row) {
  const Arrays arrays = make_arrays(row);
  Values<double> values = values_of(arrays);
  for (const Operand& operand : row.operands)
    if (operand.use == Use::kSum && operand.name[0] == 'd')
      std::fill(values.reals[operand.name].begin(), values.reals[operand.name].end(), 0.0);
  return values;
}

double derivative_by_complex_step(const Gradient& gradient, const Values<double>& start,
                                  const std::string& input, int64_t i) {
  constexpr double kStep = 1e-30;
  Values<std::complex<double>> values = to_complex(start);
  values[input][i] += std::complex<double>(0, kStep);
  gradient.forward(values);
  double sum = 0;
  for (const std::string& output : gradient.outputs)
    for (size_t j = 0; j < values.reals[output].size(); ++j)
      sum += values[output][j].imag() * start.reals.at("d" + output)[j];
  return sum / kStep;
}

double loss_at(const Gradient& gradient, const Values<double>& start, const std::string& input,
               int64_t i, double step) {
  Values<double> values = start;
  values[input][i] += step;
  gradient.forward_real(values);
  double sum = 0;
  for (const std::string& output : gradient.outputs)
    for (size_t j = 0; j < values.reals[output].size(); ++j)
      sum += values[output][j] * start.reals.at("d" + output)[j];
  return sum;
}

/// Central differences, extrapolated from two step sizes: error O(h^4).
double derivative_by_differences(const Gradient& gradient, const Values<double>& start,
                                 const std::string& input, int64_t i) {
  constexpr double kStep = 1e-3;
  const auto central = [&](double h) {
    return (loss_at(gradient, start, input, i, h) - loss_at(gradient, start, input, i, -h)) /
           (2 * h);
  };
  return (4 * central(kStep / 2) - central(kStep)) / 3;
}

std::string compare_gradient(const Gradient& gradient, const Values<double>& start,
                             const Values<double>& got, const std::string& input) {
  const std::vector<double>& analytic = got.reals.at("d" + input);
  double largest = 0;
  for (double g : analytic) largest = std::max(largest, std::abs(g));
  const int64_t n = static_cast<int64_t>(analytic.size());
  const int64_t stride = std::max<int64_t>(1, n / 97);  // all of a small operand, else a sample
  for (int64_t i = 0; i < n; i += stride) {
    const double want = gradient.finite_differences
                            ? derivative_by_differences(gradient, start, input, i)
                            : derivative_by_complex_step(gradient, start, input, i);
    if (!(std::abs(analytic[i] - want) <= 1e-6 * std::max(largest, 1e-12)))
      return fmt::format("d{}[{}] is {:.12g}, its numeric value {:.12g}", input, i, analytic[i],
                         want);
  }
  return {};
}

}  // namespace

std::string grad_row(const OpRow& row) {
  const Values<double> start = start_of_gradient(row);
  Values<double> got = start;
  for (const Step& step : row.steps) step.reference(got);
  for (const Gradient& gradient : row.gradients) {
    Values<double> frozen = start;
    frozen.integers = got.integers;  // choices are held fixed
    for (const std::string& input : gradient.inputs) {
      const std::string error = compare_gradient(gradient, frozen, got, input);
      if (!error.empty()) return fmt::format("{} {}: {}", row.op, row.shape, error);
    }
  }
  return {};
}

namespace {

/// Best time of one call in microseconds, over at least `seconds` and 3 calls: what the machine can
/// do when nothing else runs on it.
template <class Call>
double best_us(double seconds, Call call) {
  using Clock = std::chrono::steady_clock;
  using Micro = std::chrono::duration<double, std::micro>;
  double best = INFINITY;
  const auto start = Clock::now();
  for (int i = 0; i < 3 || Micro(Clock::now() - start).count() < seconds * 1e6; ++i) {
    const auto begin = Clock::now();
    call();
    best = std::min(best, Micro(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace

std::vector<PerfLine> perf_row(const OpRow& row, const kernels::Table& table, int threads,
                               double seconds, bool with_reference) {
  std::vector<PerfLine> lines;
  Arrays arrays = make_arrays(row);
  Values<double> values = values_of(arrays);
  Machine machine(table, threads);
  const Tensors tensors = views_of(arrays);
  for (const Step& step : row.steps) {
    const auto run = [&] { step.run(machine.context(), tensors); };
    run();
    const double us = best_us(seconds, run);
    const double reference_us =
        with_reference ? best_us(0.0, [&] { step.reference(values); }) : 0.0;
    lines.push_back({row.op, row.shape, step.name, table.isa, threads, us, step.bytes / us * 1e-3,
                     step.flops / us * 1e-3, reference_us});
  }
  return lines;
}

}  // namespace moge::testing
