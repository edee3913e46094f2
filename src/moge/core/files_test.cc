#include "moge/core/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "moge/core/error.h"

namespace moge {
namespace {

std::filesystem::path scratch_folder() {
  auto folder = std::filesystem::temp_directory_path() / ("moge_files_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(Files, WrittenTextReadsBackWhole) {
  const auto path = scratch_folder() / "text";
  const std::string text(3 << 20, 'x');  // more than one buffer
  write_file(path, text);
  EXPECT_EQ(read_file(path), text);
}

TEST(Files, NothingAppearsWithoutCommit) {
  const auto folder = scratch_folder() / "uncommitted";
  std::filesystem::create_directories(folder);
  {
    FileWriter writer(folder / "a");
    writer.write("half");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(Files, AFullDiskIsReportedWithThePath) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const auto link = scratch_folder() / ("full.tmp" + std::to_string(getpid()));
  std::filesystem::remove(link);
  std::filesystem::create_symlink("/dev/full", link);  // where the writer puts its temporary file
  FileWriter writer(scratch_folder() / "full");
  writer.write("x");
  try {
    writer.commit();
    FAIL() << "a full disk went unnoticed";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("full: cannot be written"), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos);
  }
}

TEST(Files, MissingAndOversizedFilesAreRefused) {
  EXPECT_THROW(read_file(scratch_folder() / "absent"), Error);
  const auto path = scratch_folder() / "big";
  write_file(path, std::string(100, 'x'));
  EXPECT_THROW(read_file(path, 99), Error);
  EXPECT_THROW(FileWriter(scratch_folder() / "no" / "such" / "folder"), Error);
}

}  // namespace
}  // namespace moge
