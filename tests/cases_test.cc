// End-to-end expectations as data: runs every tests/cases/*.case (format: tests/README.md).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "process.h"

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

struct Line {
  int number;
  std::string key, value;  ///< "key: value"
};

std::string trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// "key: value" lines; `key: <<END` takes the lines up to END as they are.
std::vector<Line> read_case(const fs::path& path) {
  std::ifstream file(path);
  std::vector<Line> lines;
  int number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (trim(text).empty() || text[0] == '#') continue;
    text += ' ';  // "run:" is `moge` without a word
    const size_t colon = text.find(": ");
    if (colon == text.npos)
      throw std::runtime_error(fmt::format("line {}: no 'key: value'", number));
    Line line{number, trim(text.substr(0, colon)), trim(text.substr(colon + 2))};
    if (line.value.starts_with("<<")) {
      const std::string end = line.value.substr(2);
      line.value.clear();
      while (std::getline(file, text) && (++number, text != end)) line.value += text + "\n";
    }
    lines.push_back(line);
  }
  return lines;
}

/// Words as a shell splits them: blanks, 'single' and "double" quotes.
std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char c : text) {
    if (!quote && (c == ' ' || c == '\t')) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (quote ? c == quote : (c == '\'' || c == '"'))
      quote = quote ? 0 : c;
    else
      words.back() += c;
  }
  return words;
}

/// One case: its folder, its variables, and what the last `run` gave.
class Case {
 public:
  explicit Case(const fs::path& path) : path_(path) {
    folder_ = fs::path(::testing::TempDir()) / ("case." + path.stem().string());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    variables_ = {{"DIR", folder_.string()}, {"SRC", MOGE_SOURCE_DIR}};
  }
  ~Case() { fs::remove_all(folder_); }

  void run() {
    for (const Line& line : read_case(path_)) {
      SCOPED_TRACE(fmt::format("{}:{}: {}: {}", path_.filename().string(), line.number, line.key,
                               line.value));
      step(line.key, expand(line.value));
      if (::testing::Test::HasFatalFailure() || ::testing::Test::IsSkipped()) break;
    }
    expect_status();
    if (::testing::Test::HasFailure())
      fmt::print("stdout of the last run:\n{}\nstderr:\n{}\n", last_.out, last_.err);
  }

 private:
  void step(const std::string& key, const std::string& value) {
    const auto [verb, rest] = first_word(key);
    if (verb == "run") return run_program(value);
    if (verb == "needs") return skip_without(value);
    if (verb == "stdin") return void(input_ = value);
    if (verb == "env") return environment_.push_back(value);
    if (verb == "listen") return listen_on_free_port(value);
    if (verb == "write") return void(std::ofstream(folder_ / rest, std::ios::binary) << value);
    if (verb == "truncate") return fs::resize_file(folder_ / rest, std::stoul(value));
    if (verb == "status") return void(status_ = std::stoi(value));
    if (verb == "stdout") return expect_text(last_.out, rest, value);
    if (verb == "stderr") return expect_text(last_.err, rest, value);
    if (verb == "file") return expect_file(rest, value);
    if (verb == "json") return expect_json(rest, value);
    FAIL() << "unknown line '" << key << "'";
  }

  static std::pair<std::string, std::string> first_word(const std::string& text) {
    const size_t space = text.find(' ');
    if (space == text.npos) return {text, ""};
    return {text.substr(0, space), trim(text.substr(space))};
  }

  std::string expand(std::string text) const {
    for (const auto& [name, value] : variables_)
      for (size_t at; (at = text.find("$" + name)) != text.npos;)
        text.replace(at, name.size() + 1, value);
    return text;
  }

  void run_program(const std::string& words) {
    expect_status();
    auto args = split_words(words);
    args.insert(args.begin(), MOGE_PROGRAM);
    last_ = run_process({.args = args,
                         .input = input_,
                         .folder = folder_.string(),
                         .environment = environment_,
                         .timeout_seconds = 300});
    ASSERT_FALSE(last_.timed_out) << "no end after 300 s";
    status_ = 0;
    input_.clear();
    has_run_ = true;
  }

  /// The status of a run is judged once its `status` line, if any, was read.
  void expect_status() {
    if (has_run_) {
      EXPECT_EQ(last_.status, status_) << "exit status, with stderr: " << last_.err;
    }
    has_run_ = false;
  }

  void skip_without(const std::string& what) {
    if (!fs::exists(folder_ / what)) GTEST_SKIP() << what << " is not here";
  }

  void listen_on_free_port(const std::string& name) {
    listener_.emplace();
    variables_[name] = std::to_string(listener_->port());
  }

  void expect_text(const std::string& text, const std::string& how, const std::string& want) {
    if (how == "is")
      EXPECT_EQ(trim_end(text), trim_end(want == "\"\"" ? "" : want));
    else if (how == "has")
      EXPECT_NE(text.find(trim_end(want)), text.npos) << text;
    else if (how == "lacks")
      EXPECT_EQ(text.find(trim_end(want)), text.npos) << text;
    else
      FAIL() << "'" << how << "' is none of is, has, lacks";
  }

  static std::string trim_end(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  void expect_file(const std::string& rest, const std::string& want) {
    const auto [name, how] = first_word(rest);
    const fs::path path = folder_ / name;
    if (how == "exists") {
      EXPECT_EQ(fs::exists(path) ? "yes" : "no", want);
      return;
    }
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file) << path;
    std::ostringstream text;
    text << file.rdbuf();
    expect_text(text.str(), how, want);
  }

  /// `json /a/b =: 3`, also <, >, ~ (value tolerance), has (a text), size.
  void expect_json(const std::string& rest, const std::string& want) {
    const auto [pointer, how] = first_word(rest);
    const Json document = Json::parse(last_.out, nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(document.is_discarded()) << "stdout is not JSON: " << last_.out;
    const Json::json_pointer at(pointer);
    ASSERT_TRUE(document.contains(at)) << pointer << " is missing in " << last_.out;
    const Json& value = document[at];
    if (how == "=") {
      EXPECT_EQ(value, Json::parse(want));
    } else if (how == "<") {
      EXPECT_LT(value.get<double>(), std::stod(want));
    } else if (how == ">") {
      EXPECT_GT(value.get<double>(), std::stod(want));
    } else if (how == "size") {
      EXPECT_EQ(value.size(), std::stoul(want));
    } else if (how == "~") {
      std::istringstream numbers(want);
      double center = 0, tolerance = 0;
      ASSERT_TRUE(numbers >> center >> tolerance) << "want: value tolerance";
      EXPECT_NEAR(value.get<double>(), center, tolerance);
    } else {
      expect_text(value.is_string() ? value.get<std::string>() : value.dump(), how, want);
    }
  }

  fs::path path_, folder_;
  std::map<std::string, std::string> variables_;
  std::vector<std::string> environment_;
  std::string input_;
  ProcessResult last_;
  int status_ = 0;
  bool has_run_ = false;
  std::optional<Listener> listener_;
};

class CaseTest : public ::testing::Test {
 public:
  explicit CaseTest(fs::path path) : path_(std::move(path)) {}
  void TestBody() override { Case(path_).run(); }

 private:
  fs::path path_;
};

void register_cases() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(fs::path(MOGE_SOURCE_DIR) / "tests" / "cases"))
    if (entry.path().extension() == ".case") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    std::string name = path.stem().string();  // "train.slow" -> suite Slow
    const bool slow = name.ends_with(".slow");
    if (slow) name.resize(name.size() - 5);
    ::testing::RegisterTest(slow ? "SlowCase" : "Case", name.c_str(), nullptr, nullptr,
                            path.string().c_str(), 1, [path] { return new CaseTest(path); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_cases();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
