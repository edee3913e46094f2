// Checkpoints: a complete Hugging Face folder plus training_state/, by parameter and not by rank.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "moge/train/run_folder.h"
#include "moge/train/state.h"

namespace moge::train {

/// What a checkpoint says beside its tensors.
struct CheckpointInfo {
  int64_t iteration = 0;
  int64_t consumed_samples = 0;
  std::string arguments_json;  ///< the run's options
  bool has_optimizer = false;
};

/// Writes the checkpoint of `info.iteration` into SAVE and returns its folder. Tokenizer files are
/// copied from `tokenizer_folder` (may be empty). On any failure (a full disk) Error is thrown and
/// earlier checkpoints and the tracker are as before.
std::filesystem::path save_checkpoint(const std::filesystem::path& save, const TrainState& state,
                                      const CheckpointInfo& info,
                                      const std::filesystem::path& tokenizer_folder);

/// training_state/state.json of a checkpoint folder; its checksums are compared with the files.
/// Throws Error naming the file that is missing, truncated or changed.
CheckpointInfo read_checkpoint_info(const std::filesystem::path& folder);

/// Fills weights and, with_optimizer, both moments.
void load_checkpoint(ThreadPool& threads, const std::filesystem::path& folder, bool with_optimizer,
                     TrainState& state);

}  // namespace moge::train
