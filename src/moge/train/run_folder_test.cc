#include "moge/train/run_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge::train {
namespace {

namespace fs = std::filesystem;

class RunFolder : public testing::Test {
 protected:
  RunFolder() : save_(fs::temp_directory_path() / ("moge_run_" + std::to_string(getpid()))) {
    fs::remove_all(save_);
    fs::create_directories(save_);
  }
  ~RunFolder() override { fs::remove_all(save_); }
  void publish(int64_t iteration, const std::string& text = "x") {
    CheckpointWriter writer(save_, iteration);
    write_file(writer.path() / "file", text);
    writer.publish();
  }
  fs::path save_;
};

TEST_F(RunFolder, ACheckpointAppearsOnlyWhenPublished) {
  {
    CheckpointWriter writer(save_, 7);
    write_file(writer.path() / "file", "half");
    EXPECT_FALSE(newest_checkpoint(save_).has_value());
  }
  EXPECT_FALSE(newest_checkpoint(save_).has_value());
  publish(7);
  EXPECT_EQ(newest_checkpoint(save_), 7);
  EXPECT_EQ(checkpoint_path(save_, 7).filename(), "iter_0000007");
}

TEST_F(RunFolder, TheSameStepCanBePublishedAgain) {
  publish(7, "old");
  publish(7, "new");
  EXPECT_EQ(read_file(checkpoint_path(save_, 7) / "file"), "new");
  EXPECT_EQ(list_checkpoints(save_), std::vector<int64_t>{7});
}

TEST_F(RunFolder, OldCheckpointsAndLeftOversAreRemoved) {
  for (int64_t i : {10, 20, 30}) publish(i);
  fs::create_directories(save_ / ".iter_0000040.tmp");
  remove_old_checkpoints(save_, 2);
  EXPECT_EQ(list_checkpoints(save_), (std::vector<int64_t>{20, 30}));
  EXPECT_FALSE(fs::exists(save_ / ".iter_0000040.tmp"));
  remove_old_checkpoints(save_, 0);
  EXPECT_EQ(list_checkpoints(save_).size(), 2u);
}

TEST_F(RunFolder, ASecondRunIsRefusedWithTheHoldersNumber) {
  RunLock first(save_);
  try {
    RunLock second(save_);
    FAIL() << "two runs hold one folder";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(getpid())), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace moge::train
