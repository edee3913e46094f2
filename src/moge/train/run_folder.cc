#include "moge/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge::train {

namespace fs = std::filesystem;

namespace {

constexpr const char* kTemporaryPrefix = ".iter_";

std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t bytes = pread(fd, text, sizeof(text) - 1, 0);
  return bytes > 0 ? std::string(text, static_cast<size_t>(bytes)) : "unknown";
}

void write_tracker(const fs::path& save, int64_t iteration) {
  write_file(save / kTrackerFile, std::to_string(iteration) + "\n");
}

}  // namespace

RunLock::RunLock(const fs::path& save) {
  std::error_code error;
  fs::create_directories(save, error);
  check(!error, "{}: cannot be created: {}", save.string(), error.message());
  const fs::path path = save / ".lock";
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check(fd_ >= 0, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = holder_of(fd_);
    close(fd_);
    fail("{}: process {} is training in this folder", save.string(), holder);
  }
  const std::string text = std::to_string(getpid());
  if (ftruncate(fd_, 0) != 0 || pwrite(fd_, text.data(), text.size(), 0) < 0)
    fail("{}: cannot be written: {}", path.string(), std::strerror(errno));
}

RunLock::~RunLock() { close(fd_); }  // the lock goes with the descriptor

CheckpointWriter::CheckpointWriter(fs::path save, int64_t iteration)
    : save_(std::move(save)),
      temporary_(save_ / fmt::format("{}{:07d}.tmp", kTemporaryPrefix, iteration)),
      iteration_(iteration) {
  std::error_code error;
  fs::remove_all(temporary_, error);
  fs::create_directories(temporary_, error);
  check(!error, "{}: cannot be created: {}", temporary_.string(), error.message());
}

CheckpointWriter::~CheckpointWriter() {
  std::error_code error;
  if (!published_) fs::remove_all(temporary_, error);
}

void CheckpointWriter::publish() {
  for (const auto& entry : fs::recursive_directory_iterator(temporary_))
    if (entry.is_directory()) sync_folder(entry.path());
  sync_folder(temporary_);
  const fs::path final_path = checkpoint_path(save_, iteration_);
  std::error_code error;
  // A step saved before is exchanged for its new copy, so that one of them is there at any instant.
  const unsigned flags = fs::exists(final_path) ? RENAME_EXCHANGE : 0;
  check(renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, final_path.c_str(), flags) == 0,
        "{}: cannot be renamed to {}: {}", temporary_.string(), final_path.string(),
        std::strerror(errno));
  published_ = true;
  sync_folder(save_);
  write_tracker(save_, iteration_);
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);  // the copy that was exchanged, if any
}

void remove_old_checkpoints(const fs::path& save, int64_t keep_last) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(save, error))
    if (entry.path().filename().string().starts_with(kTemporaryPrefix))
      fs::remove_all(entry.path(), error);
  if (keep_last <= 0) return;
  const auto all = list_checkpoints(save);
  for (int64_t i = 0; i + keep_last < static_cast<int64_t>(all.size()); ++i)
    fs::remove_all(checkpoint_path(save, all[static_cast<size_t>(i)]), error);
}

}  // namespace moge::train
