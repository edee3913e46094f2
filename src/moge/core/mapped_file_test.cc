#include "moge/core/mapped_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge {
namespace {

std::filesystem::path scratch(const char* name) {
  return std::filesystem::temp_directory_path() /
         ("moge_mapped_" + std::to_string(getpid()) + name);
}

TEST(MappedFile, ShowsTheFilesBytes) {
  const auto path = scratch("a");
  write_file(path, "some bytes");
  MappedFile file(path);
  MappedFile moved(std::move(file));
  EXPECT_TRUE(file.bytes().empty());
  ASSERT_EQ(moved.bytes().size(), 10u);
  EXPECT_EQ(std::memcmp(moved.bytes().data(), "some bytes", 10), 0);
  file = std::move(moved);
  EXPECT_EQ(file.bytes().size(), 10u);
  std::filesystem::remove(path);
}

TEST(MappedFile, EmptyMissingAndFolder) {
  const auto path = scratch("b");
  write_file(path, "");
  EXPECT_TRUE(MappedFile(path).bytes().empty());
  std::filesystem::remove(path);
  EXPECT_THROW(MappedFile{path}, Error);
  EXPECT_THROW(MappedFile{std::filesystem::temp_directory_path()}, Error);
}

}  // namespace
}  // namespace moge
