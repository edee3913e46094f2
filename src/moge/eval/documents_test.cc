#include "moge/eval/documents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge::eval {
namespace {

TEST(EvalDocuments, AProblemIsItsQuestionAndItsNumber) {
  const auto problem = problem_of("How many are 2 and 3?\n2 + 3 = 5\n#### 5\n");
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->prompt, "How many are 2 and 3?\n");
  EXPECT_EQ(problem->answer, "5");
  EXPECT_FALSE(problem_of("A story. Who knows?\nNobody.\n").has_value());
  EXPECT_EQ(answer_in("text\n#### 1,234 \nmore"), "1234");
  EXPECT_EQ(answer_in("#### 7"), "7");
  EXPECT_EQ(answer_in("###7"), "");
}

TEST(EvalDocuments, WrongLinesAreNamed) {
  const auto path =
      std::filesystem::temp_directory_path() / ("moge_eval_" + std::to_string(getpid()));
  write_file(path, "{\"text\":\"a\",\"domain\":\"d\"}\n\n{\"text\":7}\n");
  try {
    read_documents(path);
    FAIL() << "a number was taken for a text";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(":3:"), std::string::npos) << error.what();
  }
  write_file(path, "{\"text\":\"a\",\"domain\":\"d\"}\n{\"text\":\"b\"}\n");
  const auto documents = read_documents(path);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].domain, "d");
  EXPECT_EQ(documents[1].domain, "");
  write_file(path, "\n");
  EXPECT_THROW(read_documents(path), Error);
  std::filesystem::remove(path);
  EXPECT_THROW(read_documents(path), Error);
}

}  // namespace
}  // namespace moge::eval
