// Time of token masks: what structured output adds to a step, per answer, on a vocabulary of the
// size that models have. usage: grammar_bench [--vocab N] [--steps N] [--tokenizer FOLDER]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "moge/core/error.h"
#include "moge/grammar/grammar_cache.h"

namespace moge::grammar {
namespace {

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point from) {
  return std::chrono::duration<double, std::micro>(Clock::now() - from).count();
}

/// Bytes, words with and without a blank in front, numbers, and what JSON puts between them.
std::shared_ptr<const Vocabulary> make_words(int64_t size) {
  std::vector<std::string> texts{"<end>"};
  std::unordered_set<std::string> seen;
  const auto add = [&](std::string text) {
    if (static_cast<int64_t>(texts.size()) < size && seen.insert(text).second)
      texts.push_back(std::move(text));
  };
  for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)));
  for (const char* a : {"\"", "}", "]", "{", "[", ",", ":", " ", "\n", "\\", "."})
    for (const char* b : {"\"", "}", "]", "{", "[", ",", ":", " ", "\n", "\\", ""})
      for (const char* c : {"\"", "}", "]", "{", "[", ",", ":", " ", "\n", ""})
        add(std::string(a) + b + c);
  for (int i = 0; i < 1000; ++i) add(std::to_string(i));
  std::mt19937_64 rng(1);
  static const char* kParts[] = {
      "an", "be", "con", "de", "er",       "fi",       "gra",          "ho", "in",   "ju", "ka",
      "li", "mo", "ne",  "or", "pre",      "qui",      "re",           "st", "tion", "un", "ver",
      "wo", "ex", "ly",  "ze", "\xC3\xA9", "\xD0\xBA", "\xE4\xB8\xAD", "s",  "_",    "\""};
  while (static_cast<int64_t>(texts.size()) < size) {
    std::string word;
    for (uint64_t n = 1 + rng() % 4; n > 0; --n) word += kParts[rng() % std::size(kParts)];
    if (rng() % 4 == 0)
      word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
    add(rng() % 2 == 0 ? " " + word : word);
  }
  return std::make_shared<const Vocabulary>(std::move(texts), std::vector<std::string>{},
                                            std::vector<int32_t>{0});
}

struct Timing {
  double compile_ms = 0, first_us = 0, mean_us = 0, p99_us = 0, max_us = 0, advance_us = 0;
};

/// Random texts along the masks; a mask is timed as the engine asks for it.
Timing measure(const OutputFormat& format, const std::shared_ptr<const Vocabulary>& vocabulary,
               int steps) {
  Timing t;
  GrammarCache cache(vocabulary);
  auto begin = Clock::now();
  const auto grammar = cache.get(format);
  t.compile_ms = us_since(begin) / 1000;
  std::mt19937_64 rng(2);
  std::vector<uint32_t> mask(TokenConstraint::mask_words(vocabulary->size()));
  std::vector<double> times;
  double advance = 0;
  while (static_cast<int>(times.size()) < steps) {
    const auto answer = start_answer(grammar);
    for (int i = 0; i < 200 && !answer->finished(); ++i) {
      begin = Clock::now();
      answer->allow(mask);
      times.push_back(us_since(begin));
      std::vector<int32_t> ids;
      for (int32_t id = 1; id < vocabulary->size(); ++id)
        if ((mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1) != 0) ids.push_back(id);
      if (ids.empty()) break;
      const int32_t id = ids[rng() % ids.size()];
      begin = Clock::now();
      answer->advance(id);
      advance += us_since(begin);
    }
  }
  t.first_us = times.front();
  for (const double us : times) t.mean_us += us / static_cast<double>(times.size());
  t.advance_us = advance / static_cast<double>(times.size());
  std::sort(times.begin(), times.end());
  t.p99_us = times[times.size() * 99 / 100];
  t.max_us = times.back();
  return t;
}

const std::pair<const char*, OutputFormat>* formats(size_t& count) {
  using Kind = OutputFormat::Kind;
  static const std::pair<const char*, OutputFormat> all[] = {
      {"json_object", {.kind = Kind::kJsonObject}},
      {"schema",
       {.kind = Kind::kJsonSchema,
        .text = R"({"type":"object","properties":{"name":{"type":"string"},
        "age":{"type":"integer","minimum":0,"maximum":130},"tags":{"type":"array","items":{"enum":
        ["red","green","blue"]}},"address":{"type":"object","properties":{"street":{"type":"string"},
        "zip":{"type":"string","pattern":"^[0-9]{5}$"}},"required":["street","zip"]}},
        "required":["name","age","tags","address"]})"}},
      {"schema, bounded strings",
       {.kind = Kind::kJsonSchema,
        .text = R"({"type":"array","items":{"type":"string","maxLength":500}})"}},
      {"regex", {.kind = Kind::kRegex, .text = "([A-Z][a-z ]{3,40}\\. ?){1,20}"}},
      {"gbnf",
       {.kind = Kind::kGbnf,
        .text = "root ::= line+\nline ::= word (\" \" word)* \"\\n\"\n"
                "word ::= [a-z]+ | \"(\" word \")\""}},
      {"choice", {.kind = Kind::kChoice, .choices = {"positive", "negative", "neutral"}}}};
  count = std::size(all);
  return all;
}

void run(int64_t vocab, int steps, const std::string& folder) {
  std::shared_ptr<const Vocabulary> vocabulary = make_words(vocab);
  if (!folder.empty()) {
    const auto tokenizer = Tokenizer::load(folder);
    const auto begin = Clock::now();
    std::vector<int32_t> ends;
    if (const auto eos = tokenizer->eos_id()) ends.push_back(*eos);
    vocabulary = make_vocabulary(*tokenizer, tokenizer->vocab_size(), ends);
    std::printf("vocabulary read in %.1f ms\n", us_since(begin) / 1000);
  }
  std::printf("%ld tokens; microseconds per mask\n", static_cast<long>(vocabulary->size()));
  std::printf("%-26s %10s %8s %8s %8s %8s %8s\n", "format", "compile ms", "first", "mean", "p99",
              "max", "advance");
  size_t count = 0;
  const auto* all = formats(count);
  for (size_t i = 0; i < count; ++i) {
    const Timing t = measure(all[i].second, vocabulary, steps);
    std::printf("%-26s %10.2f %8.1f %8.1f %8.1f %8.1f %8.2f\n", all[i].first, t.compile_ms,
                t.first_us, t.mean_us, t.p99_us, t.max_us, t.advance_us);
  }
}

}  // namespace
}  // namespace moge::grammar

int main(int argc, char** argv) {
  CLI::App app("Time of token masks");
  int64_t vocab = 50304;
  int steps = 2000;
  std::string folder;
  app.add_option("--vocab", vocab, "tokens of the made-up vocabulary");
  app.add_option("--steps", steps, "masks per format");
  app.add_option("--tokenizer", folder, "a tokenizer's folder, instead");
  CLI11_PARSE(app, argc, argv);
  try {
    moge::grammar::run(vocab, steps, folder);
  } catch (const moge::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
