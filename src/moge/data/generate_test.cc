#include "moge/data/generate.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "moge/core/files.h"
#include "moge/core/rng.h"
#include "moge/core/test_errors.h"
#include "moge/data/arithmetic.h"
#include "moge/data/python_code.h"
#include "moge/data/stories.h"
#include "moge/data/template.h"

namespace moge::data {
namespace {

std::vector<Document> corpus(int64_t bytes, uint64_t seed, const DomainWeights& weights = {}) {
  std::vector<Document> documents;
  generate_corpus({.bytes = bytes, .seed = seed, .weights = weights},
                  [&](const Document& d) { documents.push_back(d); });
  return documents;
}

DomainWeights only(Domain domain) {
  DomainWeights weights{{0, 0, 0}};
  weights.weight[static_cast<int>(domain)] = 1;
  return weights;
}

TEST(Filler, FillsSlotsArticlesAndAlternatives) {
  Rng rng(1, "filler");
  Filler fill(rng);
  fill.set("x", "apple");
  fill.set("y", "honest man");
  fill.set("z", "{x}<|>");
  fill.set("n", 42);
  std::string out;
  fill.append(out, "{^x} {a x} {a y} {n} {z} <<one|one>|one>");
  EXPECT_EQ(out, "Apple an apple an honest man 42 {x}<|> one");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    out.clear();
    fill.append(out, "<a|b<c|d>|>!");
    seen.insert(out);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a!", "bc!", "bd!", "!"}));
  EXPECT_EQ(message_of([&] { fill.append(out, "{who}"); }),
            "[corpus] a text names the slot 'who', which has no value");
  EXPECT_EQ(message_of([&] { fill.append(out, "<a|b"); }),
            "[corpus] a text has '<' without '>': <a|b");
}

TEST(Generate, SameSeedSameBytesOtherSeedOtherBytes) {
  const auto joined = [](uint64_t seed) {
    std::string text;
    for (const auto& d : corpus(100000, seed)) text += d.text;
    return text;
  };
  const std::string first = joined(7);
  EXPECT_EQ(first, joined(7));
  EXPECT_NE(first, joined(8));
}

// Every machine writes these bytes. A change of the texts changes the number; nothing else may.
TEST(Generate, BytesAreTheSameOnEveryMachine) {
  std::string text;
  for (const auto& d : corpus(100000, 1, parse_domain_weights("stories:1,code:1"))) text += d.text;
  EXPECT_EQ(hash_name(text), 5839457433911034874u);
}

TEST(Generate, DomainsGetTheirShares) {
  std::array<int64_t, kNumDomains> bytes{};
  for (const auto& d : corpus(400000, 3)) bytes[static_cast<int>(d.domain)] += d.text.size();
  EXPECT_NEAR(bytes[0], 100000, 2000);
  EXPECT_NEAR(bytes[1], 200000, 2000);
  EXPECT_NEAR(bytes[2], 100000, 2000);
  for (const auto& d : corpus(20000, 3, parse_domain_weights("stories:0,code")))
    EXPECT_EQ(d.domain, Domain::kCode);
}

TEST(Generate, WrongDomainsAreNamed) {
  EXPECT_EQ(message_of([] { parse_domain_weights("poems:1"); }),
            "--domains: 'poems' is no domain (stories, arithmetic, code)");
  EXPECT_EQ(message_of([] { parse_domain_weights("code:-1"); }),
            "--domains: 'code:-1' wants NAME:WEIGHT, a number of at least 0");
  EXPECT_EQ(message_of([] { parse_domain_weights("code:1x"); }),
            "--domains: 'code:1x' wants NAME:WEIGHT, a number of at least 0");
  EXPECT_EQ(message_of([] { parse_domain_weights("code:0"); }),
            "--domains: every domain has weight 0, at least one must have more");
  EXPECT_EQ(message_of([] { corpus(0, 1); }), "[corpus] 0 bytes asked for, at least 1 is needed");
}

TEST(Generate, WritesJsonLines) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("moge_generate_test." + std::to_string(getpid()) + ".jsonl");
  const auto expected = corpus(50000, 5);
  const CorpusSummary summary = write_corpus({.bytes = 50000, .seed = 5}, path.string());
  std::ifstream file(path);
  std::string line;
  size_t i = 0;
  for (; std::getline(file, line); ++i) {
    const auto object = nlohmann::json::parse(line);
    ASSERT_LT(i, expected.size());
    EXPECT_EQ(object.at("text"), expected[i].text);
    EXPECT_EQ(object.at("domain"), name_of(expected[i].domain));
  }
  EXPECT_EQ(i, expected.size());
  EXPECT_EQ(summary.documents[0] + summary.documents[1] + summary.documents[2],
            static_cast<int64_t>(i));
  EXPECT_EQ(summary.file_bytes, static_cast<int64_t>(std::filesystem::file_size(path)));
  std::filesystem::remove(path);
}

// ---- Arithmetic.

int evaluate(const std::string& expression) {  // left to right, as "23 + 40 + 5"
  std::istringstream in(expression);
  int value = 0, next = 0;
  std::string op;
  in >> value;
  while (in >> op >> next)
    value = op == "+" ? value + next : op == "-" ? value - next : op == "x" ? value * next : -9999;
  return value;
}

std::vector<int> numbers_in(const std::string& text) {
  std::vector<int> numbers;
  for (size_t i = 0; i < text.size();) {
    if (!std::isdigit(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    size_t used = 0;
    numbers.push_back(std::stoi(text.substr(i), &used));
    i += used;
  }
  return numbers;
}

TEST(Arithmetic, EveryWorkedAnswerIsRight) {
  const std::regex shape(R"(([^?\n]+\?)\n([^?\n]+)\n#### (\d+)\n)");
  const std::regex chain(R"(\d+(?: [-+x=] \d+)+)");
  int two_steps = 0, problems = 0;
  for (const auto& d : corpus(300000, 11, only(Domain::kArithmetic))) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(d.text, match, shape)) << d.text;
    const std::string question = match[1], answer = match[2];
    int result = -1, steps = 0;
    for (std::sregex_iterator it(answer.begin(), answer.end(), chain), end; it != end; ++it) {
      std::string rest = it->str();
      std::set<int> values;
      for (size_t at; (at = rest.find(" = ")) != std::string::npos; rest = rest.substr(at + 3))
        values.insert(evaluate(rest.substr(0, at)));
      values.insert(evaluate(rest));
      ASSERT_EQ(values.size(), 1u) << d.text;
      result = *values.begin();
      ++steps;
      EXPECT_GE(result, 2) << d.text;
      EXPECT_LE(result, it->str().find('x') != std::string::npos ? 144 : 99) << d.text;
    }
    EXPECT_EQ(result, std::stoi(match[3])) << d.text;
    for (int number : numbers_in(question)) {
      const auto used = numbers_in(answer);
      EXPECT_NE(std::find(used.begin(), used.end(), number), used.end()) << d.text;
    }
    two_steps += steps == 2;
    ++problems;
  }
  EXPECT_NEAR(100.0 * two_steps / problems, kArithmeticLevel.percent_two_steps, 4);
}

// Reads the question as a person would, knowing nothing of the generator's tables.
TEST(Arithmetic, AnswersFollowFromTheQuestions) {
  const auto solve = [](const std::string& q) {
    const auto n = numbers_in(q);
    const auto has = [&](const char* words) { return q.find(words) != std::string::npos; };
    if (n.size() == 3) {
      if (has(" more and then gives ")) return n[0] + n[1] - n[2];
      if (has(" new ones")) return n[0] - n[1] + n[2];
      if (has(" on Monday")) return n[0] + n[1] + n[2];
      if (has(" on the table")) return n[0] * n[1] + n[2];
      if (has(" in each. ")) return n[0] * n[1] - n[2];
      if (has(" and had ")) return n[2] - n[0] * n[1];
    }
    if (has(" more than ") && has("together")) return n[0] + n[0] + n[1];
    if (has(" fewer than ")) return n[0] + n[0] - n[1];
    if (has(" in each. ") || has(" every ") || has(" costs ")) return n[0] * n[1];
    if (has(" more. ") || has("together") || has(" in all") || has(" in one day"))
      return n[0] + n[1];
    return n[0] - n[1];
  };
  for (const auto& d : corpus(300000, 12, only(Domain::kArithmetic))) {
    const std::string question = d.text.substr(0, d.text.find('?') + 1);
    const int answer = std::stoi(d.text.substr(d.text.rfind("#### ") + 5));
    EXPECT_EQ(solve(question), answer) << d.text;
  }
}

TEST(Arithmetic, NoTwoSeedsShareAQuestion) {
  std::map<std::string, uint64_t> seed_of;
  std::vector<uint64_t> seeds{1234, 4095, 123456789};
  for (uint64_t seed = 0; seed <= 20; ++seed) seeds.push_back(seed);
  size_t questions = 0, distinct = 0;
  for (uint64_t seed : seeds) {
    for (const auto& d : corpus(300000, seed, only(Domain::kArithmetic))) {
      const auto [it, is_new] = seed_of.emplace(d.text.substr(0, d.text.find('?')), seed);
      ASSERT_EQ(it->second, seed) << d.text;
      ++questions;
      distinct += is_new;
    }
  }
  // Within a seed repeats stay rare, so that the corpus is worth its bytes.
  EXPECT_GT(distinct, questions * 9 / 10);
}

TEST(Arithmetic, LevelIsHonoured) {
  Rng rng(1, "level");
  const ArithmeticLevel level{.max_total = 20,
                              .max_factor = 4,
                              .percent_two_steps = 0,
                              .percent_products = 50,
                              .split_tens = false};
  for (int i = 0; i < 500; ++i) {
    std::string text;
    EXPECT_LE(append_problem(text, 1, rng, level), 20) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '='), 1) << text;
  }
}

// ---- Code.

TEST(Code, EveryFunctionHasADocstringAndAnExample) {
  std::set<std::string> names, texts;
  for (const auto& d : corpus(200000, 21, only(Domain::kCode))) {
    EXPECT_TRUE(d.text.starts_with("def ")) << d.text;
    EXPECT_NE(d.text.find("    \"\"\"Return "), std::string::npos) << d.text;
    EXPECT_NE(d.text.find("    >>> "), std::string::npos) << d.text;
    EXPECT_EQ(d.text.find_first_of("{}\t"), std::string::npos) << d.text;
    EXPECT_TRUE(d.text.ends_with("\n") && !d.text.ends_with("\n\n")) << d.text;
    names.insert(d.text.substr(4, d.text.find('(') - 4));
    texts.insert(d.text);
  }
  EXPECT_GT(names.size(), 80u);
  EXPECT_GT(texts.size(), 900u);
}

constexpr const char* kRunExamples = R"(
import doctest, json, sys
failed = tried = 0
for line in open(sys.argv[1]):
    space = {}
    exec(json.loads(line)["text"], space)
    name = next(n for n in space if n != "__builtins__")
    test = doctest.DocTestFinder().find(space[name], name, globs=space)[0]
    result = doctest.DocTestRunner(verbose=False).run(test)
    failed += result.failed
    tried += result.attempted
sys.exit(1 if failed or tried < 500 else 0)
)";

TEST(Code, PythonAgreesWithEveryExample) {
  if (std::system("python3 -c pass 2>/dev/null") != 0) GTEST_SKIP() << "no python3 here";
  const auto base =
      (std::filesystem::temp_directory_path() / ("moge_code_test." + std::to_string(getpid())))
          .string();
  write_corpus({.bytes = 150000, .seed = 22, .weights = only(Domain::kCode)}, base + ".jsonl");
  write_file(base + ".py", kRunExamples);
  EXPECT_EQ(std::system(("python3 " + base + ".py " + base + ".jsonl").c_str()), 0);
  std::filesystem::remove(base + ".py");
  std::filesystem::remove(base + ".jsonl");
}

// ---- Stories.

TEST(Stories, AreWellFormed) {
  const std::regex lower_case_start(R"((^|\n|\. )[a-z])");
  std::set<std::string> vocabulary;
  const auto stories = corpus(500000, 31, only(Domain::kStories));
  for (const auto& d : stories) {
    EXPECT_EQ(d.text.find_first_of("{}<>|"), std::string::npos) << d.text;
    EXPECT_FALSE(std::regex_search(d.text, lower_case_start)) << d.text;
    EXPECT_EQ(std::count(d.text.begin(), d.text.end(), '"') % 2, 0) << d.text;
    EXPECT_EQ(d.text.find("  "), std::string::npos) << d.text;
    EXPECT_TRUE(d.text.ends_with("\n")) << d.text;
    std::istringstream words(d.text);
    int count = 0;
    for (std::string word; words >> word; ++count) vocabulary.insert(word);
    EXPECT_GE(count, 80) << d.text;
    EXPECT_LE(count, 260) << d.text;
  }
  EXPECT_GT(vocabulary.size(), 1000u);
  std::set<std::string> distinct;
  for (const auto& d : stories) distinct.insert(d.text);
  EXPECT_EQ(distinct.size(), stories.size());
}

// A boy among girls' words, or the other way round, would teach the model nonsense.
TEST(Stories, PronounsFollowTheHero) {
  const std::regex hero(R"( (boy|girl)[^.]*\. )"), male(R"(\b([Hh]e|[Hh]is|[Hh]im)\b)"),
      female(R"(\b([Ss]he|[Hh]er)\b)");
  int checked = 0;
  for (const auto& d : corpus(300000, 32, only(Domain::kStories))) {
    const std::string first = d.text.substr(0, d.text.find('\n'));
    std::smatch match;
    if (!std::regex_search(first, match, hero)) continue;
    const bool boy = match[1] == "boy";
    EXPECT_TRUE(std::regex_search(first, boy ? male : female)) << d.text;
    EXPECT_FALSE(std::regex_search(first, boy ? female : male)) << d.text;
    ++checked;
  }
  EXPECT_GT(checked, 100);
}

}  // namespace
}  // namespace moge::data
