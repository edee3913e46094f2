// Text files as documents: .jsonl (one object with the key "text" a line) or .txt (one document).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace moge::data {

/// Longest line of a .jsonl file.
inline constexpr int64_t kMaxLineBytes = int64_t{256} << 20;
/// A .txt file comes in pieces of at most this size, cut where a line ends.
inline constexpr int64_t kPieceBytes = int64_t{1} << 20;

bool is_text_path(const std::string& path);

struct TextPiece {
  std::string_view text;
  bool ends_document = true;
  int64_t file_position = 0;  ///< bytes of the file read up to the piece's end
};

/// Calls `sink` for each piece, in order; returns the file's bytes. A line that is no JSON object
/// with a string "text", or a file without any text, throws Error with file and line. Blank lines
/// are skipped.
int64_t read_text(const std::string& path, const std::function<void(const TextPiece&)>& sink);

}  // namespace moge::data
