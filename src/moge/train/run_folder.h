// Writing to the folder of a training run (--save): its checkpoints (model/iterations.h reads them)
// and a lock, so that two runs cannot write to one folder.
#pragma once

#include <cstdint>
#include <filesystem>

#include "moge/model/iterations.h"

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
