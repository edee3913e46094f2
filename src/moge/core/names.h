// Names that people type: options, presets, commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moge {

/// "micro_batch_size" -> "micro-batch-size": both spellings name the same option.
std::string normal_name(std::string_view name);

/// The candidate with the smallest edit distance to `name`, or "" if none is near enough to be a
/// typing error (at most a third of the letters, at least two edits allowed).
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

/// ", did you mean 'x'?" or "" where no candidate is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace moge
