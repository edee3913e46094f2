// The folder of a training run (--save): checkpoints iter_NNNNNNN, the tracker file that names the
// newest one, and a lock, so that two runs cannot write to one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace moge::train {

/// Holds SAVE/.lock while it lives; throws Error naming the process that holds it already.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& save);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_ = -1;
};

/// SAVE/iter_0000100
std::filesystem::path checkpoint_path(const std::filesystem::path& save, int64_t iteration);

/// Iterations of the complete checkpoints in SAVE, rising. A checkpoint carries its final name only
/// when all of it is on disk.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& save);

/// What latest_checkpointed_iteration.txt says if that checkpoint is there, else the newest
/// complete one, else nothing.
std::optional<int64_t> newest_checkpoint(const std::filesystem::path& save);

/// A checkpoint being written: fill path(), then publish() syncs it, gives it its final name and
/// moves the tracker. Without publish() it is removed.
class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path save, int64_t iteration);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  void publish();

 private:
  std::filesystem::path save_, temporary_;
  int64_t iteration_;
  bool published_ = false;
};

/// Removes all but the newest `keep_last` checkpoints (0 = keep all) and what killed runs left.
void remove_old_checkpoints(const std::filesystem::path& save, int64_t keep_last);

}  // namespace moge::train
