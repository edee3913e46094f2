// The checkpoints of a training run's folder (--save): iter_NNNNNNN, and the tracker file that
// names the newest one. Training writes and continues them, every other command reads the newest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace moge {

inline constexpr const char* kTrackerFile = "latest_checkpointed_iteration.txt";

/// SAVE/iter_0000100
std::filesystem::path checkpoint_path(const std::filesystem::path& save, int64_t iteration);

/// Iterations of the complete checkpoints in SAVE, rising. A checkpoint carries its final name only
/// when all of it is on disk.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& save);

/// What the tracker file says if that checkpoint is there, else the newest complete one, else
/// nothing. Throws Error if the file holds no number.
std::optional<int64_t> newest_checkpoint(const std::filesystem::path& save);

/// The folder of the model that `folder` stands for: itself, or its newest checkpoint if it is a
/// run's folder.
std::filesystem::path model_folder(const std::filesystem::path& folder);

}  // namespace moge
