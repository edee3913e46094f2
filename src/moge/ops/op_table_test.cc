// Every row of the case table: check on every instruction set of this machine, and grad.
#include <gtest/gtest.h>

#include "moge/ops/test_cases.h"

namespace moge::testing {
namespace {

class OpTable : public ::testing::TestWithParam<std::string> {
 protected:
  template <class Visit>
  void for_each_row(Visit visit) {
    int rows = 0;
    for (const OpRow& row : op_table())
      if (row.op == GetParam() && !row.perf) {
        visit(row);
        ++rows;
      }
    EXPECT_GT(rows, 0) << GetParam() << " has only shapes for perf";
  }
};

TEST_P(OpTable, Check) {
  for_each_row([](const OpRow& row) {
    for (const kernels::Table* table : kernels::available_tables())
      EXPECT_EQ(check_row(row, *table), "");
  });
}

TEST_P(OpTable, Grad) {
  for_each_row([](const OpRow& row) { EXPECT_EQ(grad_row(row), ""); });
}

INSTANTIATE_TEST_SUITE_P(All, OpTable, ::testing::ValuesIn(op_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moge::testing
