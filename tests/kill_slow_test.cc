// SIGKILL at random instants of a training run, also inside saves: every time the newest complete
// checkpoint loads, and in the end the bits are those of a run that nobody killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr const char* kSteps = "60";

/// Starts `moge train` on a tiny model that saves after every second step.
pid_t start(const fs::path& save) {
  const pid_t child = fork();
  if (child != 0) return child;
  if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)) _exit(9);
  const std::string folder = save.string();
  const char* args[] = {MOGE_PROGRAM,
                        "train",
                        "--model",
                        "preset:tiny",
                        "--num-layers",
                        "1",
                        "--hidden-size",
                        "32",
                        "--num-attention-heads",
                        "2",
                        "--num-query-groups",
                        "1",
                        "--kv-channels",
                        "16",
                        "--moe-ffn-hidden-size",
                        "16",
                        "--vocab-size",
                        "64",
                        "--mock-data",
                        "--seq-length",
                        "16",
                        "--micro-batch-size",
                        "2",
                        "--global-batch-size",
                        "2",
                        "--train-iters",
                        kSteps,
                        "--save-interval",
                        "2",
                        "--threads",
                        "1",
                        "--save",
                        folder.c_str(),
                        nullptr};
  execv(MOGE_PROGRAM, const_cast<char**>(args));
  _exit(127);
}

int finish(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string final_bits(const fs::path& save) {
  const fs::path folder = save / "iter_0000060";
  return read(folder / "model.safetensors") +
         read(folder / "training_state" / "exp_avg.safetensors") +
         read(folder / "training_state" / "exp_avg_sq.safetensors");
}

TEST(Kill, ARunKilledAtAnyInstantEndsWithTheSameBits) {
  const char* asked = std::getenv("MOGE_KILL_ROUNDS");
  const int rounds = asked ? std::atoi(asked) : 6;
  const fs::path base = fs::temp_directory_path() / ("moge_kill_" + std::to_string(getpid()));
  fs::remove_all(base);
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(finish(start(base / "whole")), 0);
  const double whole_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::mt19937 random(7);
  std::uniform_real_distribution<double> part(0.1, 0.7);
  int killed = 0;
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = start(base / "killed");
    std::this_thread::sleep_for(std::chrono::duration<double>(part(random) * whole_s));
    kill(child, SIGKILL);
    const int status = finish(child);
    ASSERT_TRUE(status == 128 + SIGKILL || status == 0) << "round " << round << ": " << status;
    killed += status != 0;
  }
  EXPECT_GT(killed, 0);
  ASSERT_EQ(finish(start(base / "killed")), 0) << "the newest checkpoint did not load";
  EXPECT_FALSE(final_bits(base / "whole").empty());
  EXPECT_EQ(final_bits(base / "whole"), final_bits(base / "killed"));
  fs::remove_all(base);
}

/// `moge COMMAND...` with its output thrown away.
pid_t start_quiet(const std::vector<std::string>& words) {
  const pid_t child = fork();
  if (child != 0) return child;
  if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)) _exit(9);
  std::vector<char*> args = {const_cast<char*>(MOGE_PROGRAM)};
  for (const std::string& word : words) args.push_back(const_cast<char*>(word.c_str()));
  args.push_back(nullptr);
  execv(MOGE_PROGRAM, args.data());
  _exit(127);
}

TEST(Kill, AQuantizationThatIsKilledLeavesNoFolderThatLoads) {
  const fs::path base = fs::temp_directory_path() / ("moge_kill_q_" + std::to_string(getpid()));
  fs::remove_all(base);
  fs::create_directories(base);
  const auto quantize = [&](const char* name) {
    return start_quiet({"quantize", "preset:small-dense", "--format", "w4a8", "--max-shard-size",
                        "0.004", "--out", (base / name).string()});
  };
  const auto loads = [&](const fs::path& folder) {
    return finish(start_quiet({"generate", folder.string(), "--prompt", "a", "-n", "1"})) == 0;
  };
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(finish(quantize("whole")), 0);
  const double whole_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  EXPECT_TRUE(loads(base / "whole"));
  int killed = 0;
  for (double part : {0.1, 0.3, 0.5, 0.7, 0.9}) {
    const pid_t child = quantize("killed");
    std::this_thread::sleep_for(std::chrono::duration<double>(part * whole_s));
    kill(child, SIGKILL);
    if (finish(child) == 0) continue;
    ++killed;
    EXPECT_FALSE(fs::exists(base / "killed"));
    EXPECT_FALSE(loads(base / "killed"));
    EXPECT_FALSE(loads(base / "killed.partial"));
  }
  EXPECT_GT(killed, 0);
  fs::remove_all(base / "killed");
  EXPECT_EQ(finish(quantize("killed")), 0) << "what a killed one left is in the way";
  EXPECT_FALSE(fs::exists(base / "killed.partial"));
  for (const auto& entry : fs::directory_iterator(base / "whole"))
    EXPECT_EQ(read(entry.path()), read(base / "killed" / entry.path().filename()));
  fs::remove_all(base);
}

}  // namespace
