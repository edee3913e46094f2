// The case table: one row per op and shape, four modes.
//   check  every instruction set x 1, 2, 3 threads against the reference in fp64
//   grad   the reference's gradients against the complex step (or fp64 finite differences)
//   perf   time, GB/s, GFLOP/s, x reference
//   list   names
// op_table_test.cc runs check and grad, bench/op_table runs perf and list. How to add a row:
// docs/adding_an_op.md.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "moge/ops/context.h"

namespace moge::testing {

/// The operands of a row as a reference sees them: dense arrays by name, in the reference's scalar.
template <class T>
struct Values {
  std::map<std::string, std::vector<T>> reals;
  std::map<std::string, std::vector<int32_t>> integers;

  T* operator[](const std::string& name) { return reals.at(name).data(); }
  int32_t* ids(const std::string& name) { return integers.at(name).data(); }
  /// Sum of the magnitudes of each element's terms, for check_row(); zero at first.
  T* norm(const std::string& name) {
    auto& list = reals[name + ".norm"];
    list.assign(reals.at(name).size(), T(0));
    return list.data();
  }
  void zero(const std::string& name) { reals.at(name).assign(reals.at(name).size(), T(0)); }
};

/// The operands as an op sees them.
struct Tensors {
  std::map<std::string, Tensor> views;
  const Tensor& operator[](const std::string& name) const { return views.at(name); }
};

enum class Use {
  kInput,   ///< drawn at random, must not change
  kOutput,  ///< NaN (integers: the lowest) before, for the op and for its reference
  kSum,     ///< drawn at random, then added to
};

struct OperandOptions {
  double scale = 1.0;                        ///< draws are normal times scale
  double tolerance = 8.0;                    ///< see check_row()
  int64_t gap = 0;                           ///< elements between rows that must stay untouched
  std::function<double(int64_t)> fill = {};  ///< element i, instead of a draw
};

struct Operand {
  std::string name;
  Use use;
  DType dtype;  ///< kF32, kBF16 or kI32
  std::vector<int64_t> shape;
  OperandOptions options;

  int64_t numel() const;
};

/// One call of an op with its reference. A step finds what earlier steps of the row should have
/// written, so that an error does not travel from step to step.
struct Step {
  std::string name;
  std::function<void(const Context&, const Tensors&)> run;
  std::function<void(Values<double>&)> reference;
  double bytes = 0, flops = 0;  ///< of one call, for perf
};

/// Steps of the reference's forward pass, differentiated by the complex step.
struct Gradient {
  std::vector<std::string> inputs;   ///< x: its gradient is the operand "dx" (never another name)
  std::vector<std::string> outputs;  ///< y: its cotangent is the operand "dy"
  std::function<void(Values<std::complex<double>>&)> forward;
  std::function<void(Values<double>&)> forward_real;
  bool finite_differences = false;  ///< for a forward that is not analytic
};

/// One row of the table. Built by chaining; see test_rows_elementwise.cc.
class OpRow {
 public:
  OpRow(std::string op, std::string shape) : op(std::move(op)), shape(std::move(shape)) {}

  OpRow& input(std::string name, DType dtype, std::vector<int64_t> shape,
               OperandOptions options = {}) {
    return add({std::move(name), Use::kInput, dtype, std::move(shape), std::move(options)});
  }
  OpRow& output(std::string name, DType dtype, std::vector<int64_t> shape,
                OperandOptions options = {}) {
    return add({std::move(name), Use::kOutput, dtype, std::move(shape), std::move(options)});
  }
  OpRow& sum(std::string name, DType dtype, std::vector<int64_t> shape,
             OperandOptions options = {}) {
    return add({std::move(name), Use::kSum, dtype, std::move(shape), std::move(options)});
  }

  OpRow& step(Step step) {
    steps.push_back(std::move(step));
    return *this;
  }
  /// grad mode: d<input> of every input against the complex step of `forward`, a generic lambda
  /// over Values<T>&.
  template <class Forward>
  OpRow& gradient(std::vector<std::string> inputs, std::vector<std::string> outputs,
                  Forward forward) {
    gradients.push_back({std::move(inputs), std::move(outputs), forward, forward});
    return *this;
  }
  /// The same by finite differences, for a forward that only exists in fp64.
  OpRow& gradient_by_differences(std::vector<std::string> inputs, std::vector<std::string> outputs,
                                 std::function<void(Values<double>&)> forward) {
    gradients.push_back({std::move(inputs), std::move(outputs), {}, std::move(forward), true});
    return *this;
  }
  /// A shape for perf and list only.
  OpRow& only_perf() {
    perf = true;
    return *this;
  }

  std::string op, shape;
  std::vector<Operand> operands;
  std::vector<Step> steps;
  std::vector<Gradient> gradients;
  bool perf = false;

 private:
  OpRow& add(Operand operand) {
    operands.push_back(std::move(operand));
    return *this;
  }
};

using OpRows = std::vector<OpRow>;

/// At namespace scope of a test_rows_*.cc: `const RegisterRows kRows(rmsnorm_rows);`
class RegisterRows {
 public:
  explicit RegisterRows(void (*append)(OpRows&));
};

/// All registered rows, by op.
const OpRows& op_table();
std::vector<std::string> op_names();

/// Runs the row on `table` with 1, 2 and 3 threads: equal bits, and for every element
///   |got - want| <= u |want| + tolerance 2^-24 norm
/// with u = 2^-8 for a bf16 element, else 2^-23; norm = the value that the reference left under
/// "<name>.norm" (the sum of the magnitudes of the element's terms), else max(|want|, rms of want).
/// Integers must be equal; inputs, gaps and the surroundings untouched. Returns the first failure
/// as a sentence, or nothing.
std::string check_row(const OpRow& row, const kernels::Table& table);

/// Every gradient of the row within 1e-6, relative to the largest element of its tensor.
std::string grad_row(const OpRow& row);

/// to = from, for ops that work in place (one dtype and shape, any strides).
void copy_rows(const Tensor& from, const Tensor& to);

/// One line per step and instruction set.
struct PerfLine {
  std::string op, shape, step, isa;
  int threads;
  double us, gb_s, gflop_s;
  double reference_us;  ///< of the fp64 reference; 0 where it would take too long
};
std::vector<PerfLine> perf_row(const OpRow& row, const kernels::Table& table, int threads,
                               double seconds, bool with_reference);

}  // namespace moge::testing
