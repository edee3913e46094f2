// Python functions of text and of lists of words.
#include <fmt/core.h>

#include <algorithm>

#include "moge/data/python_parts.h"

namespace moge::data {

namespace {

void write_reverse(std::string& out, Rng& rng) {
  const auto s = pick(rng, kTextNames);
  const bool palindrome = rng.below(2);
  Function f(rng, palindrome ? "is_palindrome" : "reverse", s);
  add_examples(f, [&] {
    const auto word = draw_word(rng);
    const std::string back(word.rbegin(), word.rend());
    f.example(show(word), palindrome ? show(back == word) : show(std::string_view(back)));
  });
  f.fill.set("s", s);
  if (palindrome)
    f.write(out, "Return True if {s} reads the same backwards.", "    return {s} == {s}[::-1]\n");
  else
    f.write(out, "Return {s} with its letters in reverse order.",
            rng.below(2) ? "    return {s}[::-1]\n"
                         : "    result = ''\n    for letter in {s}:\n"
                           "        result = letter + result\n    return result\n");
}

void write_count_letters(std::string& out, Rng& rng) {
  const auto s = pick(rng, kTextNames);
  static constexpr std::string_view kSets[][2] = {
      {"aeiou", "vowels"}, {"e", "letters e"}, {"a", "letters a"}, {"lr", "letters l and r"}};
  const auto& set = pick(rng, kSets);
  Function f(rng, set[0].size() == 5 ? "count_vowels" : "count_letters", s);
  add_examples(f, [&] {
    const auto word = draw_word(rng);
    f.example(show(word),
              show(static_cast<int64_t>(std::count_if(word.begin(), word.end(), [&](char c) {
                return set[0].find(c) != std::string_view::npos;
              }))));
  });
  f.fill.set("s", s);
  f.fill.set("set", set[0]);
  f.fill.set("what", set[1]);
  f.write(out, "Return how many {what} are in {s}.",
          rng.below(2) ? "    return sum(1 for letter in {s} if letter in '{set}')\n"
                       : "    count = 0\n    for letter in {s}:\n"
                         "        if letter in '{set}':\n            count += 1\n"
                         "    return count\n");
}

void write_repeat(std::string& out, Rng& rng) {
  const auto s = pick(rng, kTextNames);
  static constexpr std::string_view kMarks[] = {"-", "+", " ", "."};
  const auto mark = pick(rng, kMarks);
  Function f(rng, rng.below(2) ? "repeat" : "say_again", fmt::format("{}, times", s));
  add_examples(f, [&] {
    const auto word = draw_word(rng);
    const int times = draw_between(rng, 1, 4);
    std::string text(word);
    for (int i = 1; i < times; ++i) text += std::string(mark) + std::string(word);
    f.example(fmt::format("'{}', {}", word, times), show(std::string_view(text)));
  });
  f.fill.set("s", s);
  f.fill.set("mark", mark);
  f.write(out, "Return {s} several times, with '{mark}' between.",
          "    return '{mark}'.join([{s}] * times)\n");
}

void write_word_choice(std::string& out, Rng& rng) {
  const bool longest = rng.below(2);
  Function f(rng, longest ? "longest_word" : "shortest_word", "words");
  add_examples(f, [&] {
    const Words words = draw_words(rng, 2, 4);
    const auto by_length = [](auto a, auto b) { return a.size() < b.size(); };
    f.example(show(words),
              show(longest ? *std::max_element(words.begin(), words.end(), by_length)
                           : *std::min_element(words.begin(), words.end(), by_length)));
  });
  f.fill.set("op", longest ? ">" : "<");
  f.fill.set("built_in", longest ? "max" : "min");
  f.fill.set("what", longest ? "longest" : "shortest");
  f.write(out, "Return the first of the {what} words.",
          rng.below(2) ? "    return {built_in}(words, key=len)\n"
                       : "    best = words[0]\n    for word in words:\n"
                         "        if len(word) {op} len(best):\n            best = word\n"
                         "    return best\n");
}

void write_lengths(std::string& out, Rng& rng) {
  const bool initials = rng.below(2);
  Function f(rng, initials ? "first_letters" : "word_lengths", "words");
  add_examples(f, [&] {
    const Words words = draw_words(rng, 2, 4);
    std::string letters;
    Ints lengths;
    for (auto word : words) {
      letters += word[0];
      lengths.push_back(static_cast<int64_t>(word.size()));
    }
    f.example(show(words), initials ? show(std::string_view(letters)) : show(lengths));
  });
  if (initials)
    f.write(out, "Return the first letters of the words as one text.",
            rng.below(2) ? "    return ''.join(word[0] for word in words)\n"
                         : "    result = ''\n    for word in words:\n"
                           "        result += word[0]\n    return result\n");
  else
    f.write(out, "Return the number of letters of each word.",
            rng.below(2) ? "    return [len(word) for word in words]\n"
                         : "    result = []\n    for word in words:\n"
                           "        result.append(len(word))\n    return result\n");
}

void write_count_words(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "count_words" : "number_of_words", "text");
  add_examples(f, [&] {
    const Words words = draw_words(rng, 1, 5);
    std::string text;
    for (auto word : words) text += (text.empty() ? "" : " ") + std::string(word);
    f.example(show(std::string_view(text)), show(static_cast<int64_t>(words.size())));
  });
  f.write(out, "Return how many words are in text.", "    return len(text.split())\n");
}

// Families with many variants stand more than once.
constexpr PythonWriter kWriters[] = {write_reverse,       write_repeat,      write_lengths,
                                     write_count_letters, write_word_choice, write_count_words};

}  // namespace

std::span<const PythonWriter> text_writers() { return kWriters; }

}  // namespace moge::data
