#include "moge/eval/documents.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"

namespace moge::eval {

std::vector<EvalDocument> read_documents(const std::filesystem::path& path) {
  std::ifstream in(path);
  check(in.good(), "{}: cannot be opened", path.string());
  std::vector<EvalDocument> documents;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    check(object.is_object() && object.contains("text") && object["text"].is_string(),
          "{}:{}: not an object with a string \"text\"", path.string(), number);
    const bool has_domain = object.contains("domain") && object["domain"].is_string();
    documents.push_back({object["text"].get<std::string>(),
                         has_domain ? object["domain"].get<std::string>() : std::string()});
  }
  check(!documents.empty(), "{}: there is no document", path.string());
  return documents;
}

std::string answer_in(std::string_view text) {
  const size_t mark = text.find("#### ");
  if (mark == std::string_view::npos) return {};
  std::string_view line = text.substr(mark + 5);
  line = line.substr(0, line.find('\n'));
  std::string answer;
  for (char c : line)
    if (c != ',' && c != ' ' && c != '\r') answer += c;
  return answer;
}

std::optional<Problem> problem_of(std::string_view text) {
  const size_t end = text.find("?\n");
  const std::string answer = answer_in(text);
  if (end == std::string_view::npos || answer.empty()) return {};
  return Problem{std::string(text.substr(0, end + 2)), answer};
}

}  // namespace moge::eval
