#include "moge/model/iterations.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge {
namespace {

namespace fs = std::filesystem;

class Iterations : public testing::Test {
 protected:
  Iterations()
      : save_(fs::temp_directory_path() / ("moge_iterations_" + std::to_string(getpid()))) {
    fs::remove_all(save_);
    fs::create_directories(save_);
  }
  ~Iterations() override { fs::remove_all(save_); }
  void add(int64_t iteration) { fs::create_directories(checkpoint_path(save_, iteration)); }
  void track(const std::string& text) { write_file(save_ / kTrackerFile, text); }
  fs::path save_;
};

TEST_F(Iterations, TheTrackerLeadsAndItsLossIsSurvived) {
  EXPECT_FALSE(newest_checkpoint(save_).has_value());
  add(10);
  add(20);
  EXPECT_EQ(newest_checkpoint(save_), 20);  // no tracker yet
  track("10\n");
  EXPECT_EQ(newest_checkpoint(save_), 10);
  track("30\n");  // its folder is gone
  EXPECT_EQ(newest_checkpoint(save_), 20);
  EXPECT_EQ(list_checkpoints(save_), (std::vector<int64_t>{10, 20}));
}

TEST_F(Iterations, ATrackerWithoutANumberIsRefused) {
  add(10);
  for (const char* text : {"soon\n", "", "-3", "10 20", "99999999999999999999"}) {
    track(text);
    EXPECT_THROW(newest_checkpoint(save_), Error) << text;
  }
}

TEST_F(Iterations, OtherNamesAreNoCheckpoints) {
  for (const char* name : {".iter_0000007.tmp", "iter_", "iter_x", "tensorboard"})
    fs::create_directories(save_ / name);
  write_file(save_ / "iter_0000009", "a file");
  EXPECT_TRUE(list_checkpoints(save_).empty());
  EXPECT_EQ(model_folder(save_), save_);
}

TEST_F(Iterations, AFolderStandsForItsNewestModel) {
  add(12345678);  // more digits than the name's padding
  EXPECT_EQ(model_folder(save_), save_ / "iter_12345678");
  track("12345678\n");
  EXPECT_EQ(model_folder(save_).filename(), "iter_12345678");
  EXPECT_EQ(model_folder(save_ / "iter_12345678"), save_ / "iter_12345678");
  write_file(save_ / "config.json", "{}");
  EXPECT_EQ(model_folder(save_), save_);
}

}  // namespace
}  // namespace moge
