// Evaluation data: JSON lines {"text", "domain"}, some with a question and a checked answer.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moge::eval {

struct EvalDocument {
  std::string text, domain;  ///< domain may be empty
};

/// Throws Error with file and line where a line is no object with a string "text".
std::vector<EvalDocument> read_documents(const std::filesystem::path& path);

/// "question?\nworked answer\n#### N\n" as the demo corpus and GSM8K have it.
struct Problem {
  std::string prompt;  ///< up to the `?` and its newline
  std::string answer;  ///< N
};
std::optional<Problem> problem_of(std::string_view text);

/// The number after the first "#### " of a text, commas and blanks removed; empty if none.
std::string answer_in(std::string_view text);

}  // namespace moge::eval
