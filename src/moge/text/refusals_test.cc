// Every way in which a tokenizer's files can be wrong, with the sentence that tells it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/text/regex.h"
#include "moge/text/tokenizer.h"

namespace moge {
namespace {

using nlohmann::json;

json good_file() {
  return json::parse(R"({"version": "1.0", "added_tokens": [], "normalizer": null,
    "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

std::string error_of(const std::string& text, const std::string& config = "") {
  try {
    Tokenizer::from_json(text, config, "DIR/tokenizer.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// The error when the value at `pointer` is `value`, without "[tokenizer] DIR/tokenizer.json: ".
std::string error_with(const std::string& pointer, const std::string& value) {
  json file = good_file();
  file[json::json_pointer(pointer)] = json::parse(value);
  const std::string error = error_of(file.dump()), prefix = "[tokenizer] DIR/tokenizer.json: ";
  return error.starts_with(prefix) ? error.substr(prefix.size()) : error;
}

TEST(Refusals, TheWholeFile) {
  EXPECT_EQ(error_of(good_file().dump()), "no error");
  EXPECT_EQ(error_of("{\"a\": "), "[tokenizer] DIR/tokenizer.json: no valid JSON at byte 7 of 6");
  EXPECT_EQ(error_of("[]"), "[tokenizer] DIR/tokenizer.json is no object");
  EXPECT_EQ(error_of("{}"), "[tokenizer] DIR/tokenizer.json has no model");
  EXPECT_EQ(error_of("1e999"),
            "[tokenizer] DIR/tokenizer.json: holds a number that is out of range");
  EXPECT_EQ(error_with("/version", R"("2.0")"), "version is '2.0'; read is 1.0");
}

TEST(Refusals, Model) {
  EXPECT_EQ(error_with("/model/type", R"("Unigram")"), "model has type Unigram; read is BPE");
  EXPECT_EQ(error_with("/model/vocab", "[]"), "model.vocab is no object");
  EXPECT_EQ(error_with("/model/vocab/a", "-1"), "model.vocab gives 'a' the id -1");
  EXPECT_EQ(error_with("/model/vocab/a", "15999999"), "model.vocab gives 'a' the id 15999999");
  EXPECT_EQ(error_with("/model/vocab/", "3"), "model.vocab has an empty token, id 3");
  EXPECT_EQ(error_with("/model/merges", "7"), "model.merges is no array");
  EXPECT_EQ(error_with("/model/merges/0", "7"), "model.merges[0] is neither a pair nor a text");
  EXPECT_EQ(error_with("/model/merges/0", R"("a b c")"),
            "model.merges[0] 'a b c' is not two tokens with a space between");
  EXPECT_EQ(error_with("/model/merges/0", R"("a c")"),
            "model: merge 0 needs the token 'c', which the vocabulary lacks");
  EXPECT_EQ(error_with("/model/merges/0", R"(["b", "a"])"),
            "model: merge 0 needs the token 'ba', which the vocabulary lacks");
  EXPECT_EQ(error_with("/model/unk_token", R"("<unk>")"),
            "model: unk_token '<unk>' is not in the vocabulary of 3 tokens");
  EXPECT_EQ(error_with("/model/unk_token", "5"), "model.unk_token is no string");
  EXPECT_EQ(error_with("/model/fuse_unk", "5"), "model.fuse_unk is neither true nor false");
  EXPECT_EQ(error_with("/model/dropout", "0.1"), "model.dropout is set: its ids would be random");
  EXPECT_EQ(error_with("/model/continuing_subword_prefix", R"("##")"),
            "model.continuing_subword_prefix is '##', which is not supported");
  EXPECT_EQ(error_with("/model/end_of_word_suffix", R"("</w>")"),
            "model.end_of_word_suffix is '</w>', which is not supported");
}

std::string nested(const std::string& list, int depth) {
  std::string text = R"({"type": "Sequence", ")" + list + R"(": []})";
  for (int i = 0; i < depth; ++i)
    text = R"({"type": "Sequence", ")" + list + R"(": [)" + text + "]}";
  return text;
}

TEST(Refusals, Normalizer) {
  EXPECT_EQ(error_with("/normalizer", R"({"type": "Precompiled"})"),
            "normalizer has type Precompiled; read are NFC, NFD, NFKC, NFKD, Lowercase, Prepend, "
            "Replace, Strip, Sequence");
  EXPECT_EQ(error_with("/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Nmt"}]})")
                .substr(0, 42),
            "normalizer.normalizers[0] has type Nmt; re");
  EXPECT_EQ(error_with("/normalizer", R"({"type": "Replace", "pattern": {"Regex": "("},
                                          "content": ""})"),
            "normalizer.pattern.Regex '(': a group is not closed");
  EXPECT_EQ(error_with("/normalizer", R"({"type": "Replace", "pattern": {}, "content": ""})"),
            "normalizer.pattern has no String");
  EXPECT_TRUE(error_with("/normalizer", nested("normalizers", 17)).ends_with("nested too deep"));
  EXPECT_EQ(error_with("/normalizer", nested("normalizers", 10)), "no error");
}

TEST(Refusals, PreTokenizer) {
  EXPECT_EQ(error_with("/pre_tokenizer", R"({"type": "UnicodeScripts"})"),
            "pre_tokenizer has type UnicodeScripts; read are ByteLevel, Split, Metaspace, Digits, "
            "Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, Sequence");
  EXPECT_EQ(error_with("/pre_tokenizer", R"({"type": "ByteLevel"})"),
            "pre_tokenizer has no add_prefix_space");
  EXPECT_EQ(error_with("/pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"},
                                             "behavior": "Gone"})"),
            "pre_tokenizer.behavior is 'Gone'; read are Removed, Isolated, MergedWithPrevious, "
            "MergedWithNext, Contiguous");
  EXPECT_EQ(error_with("/pre_tokenizer", R"({"type": "Metaspace", "replacement": "xy"})"),
            "pre_tokenizer.replacement 'xy' is not one character");
  EXPECT_EQ(error_with("/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_",
                                             "prepend_scheme": "last"})"),
            "pre_tokenizer has prepend_scheme 'last'; read are always, first, never");
  EXPECT_EQ(error_with("/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_",
                                             "add_prefix_space": false})"),
            "pre_tokenizer has add_prefix_space false, but prepend_scheme 'always'");
  EXPECT_TRUE(
      error_with("/pre_tokenizer", nested("pretokenizers", 17)).ends_with("nested too deep"));
}

TEST(Refusals, PostProcessor) {
  const std::string single = R"({"type": "TemplateProcessing", "special_tokens": {"x": {"ids": )";
  EXPECT_EQ(error_with("/post_processor", R"({"type": "BertProcessing"})"),
            "post_processor has type BertProcessing; read are TemplateProcessing, ByteLevel, "
            "Sequence");
  EXPECT_EQ(error_with("/post_processor", single + R"([-1]}}, "single": [
                                            {"SpecialToken": {"id": "x"}}]})"),
            "post_processor.special_tokens.x.ids[0] is no token id");
  EXPECT_EQ(error_with("/post_processor", single + R"([1]}}, "single": [
                                            {"SpecialToken": {"id": "y"}}]})"),
            "post_processor.special_tokens has no y");
  EXPECT_EQ(error_with("/post_processor", single + R"([1]}}, "single": [
                                            {"Sequence": {"id": "B"}}]})"),
            "post_processor.single[0] asks for another text than one 'A'");
  const std::string no_text = single + R"([1]}}, "single": [{"SpecialToken": {"id": "x"}}]})";
  EXPECT_EQ(error_with("/post_processor", no_text), "post_processor has no text 'A' in single");
  const std::string one = single + R"([1]}}, "single": [{"SpecialToken": {"id": "x"}},
                                                        {"Sequence": {"id": "A"}}]})";
  EXPECT_EQ(error_with("/post_processor",
                       R"({"type": "Sequence", "processors": [)" + one + "," + one + "]}"),
            "post_processor.processors[1] is a second template");
  EXPECT_TRUE(error_with("/post_processor", nested("processors", 17)).ends_with("nested too deep"));
}

TEST(Refusals, Decoder) {
  EXPECT_EQ(error_with("/decoder", R"({"type": "WordPiece"})"),
            "decoder has type WordPiece; read are ByteLevel, ByteFallback, Fuse, Replace, Strip, "
            "Metaspace, Sequence");
  EXPECT_EQ(error_with("/decoder", R"({"type": "Strip", "content": " ", "start": -1, "stop": 0})"),
            "decoder.start is no whole number from 0 to 1048576");
  EXPECT_EQ(error_with("/decoder", R"({"type": "Metaspace", "replacement": "_",
                                       "prepend_scheme": "x"})"),
            "decoder has prepend_scheme 'x'; read are always, first, never");
  EXPECT_EQ(error_with("/decoder", R"({"type": "Metaspace", "replacement": "_",
                                       "add_prefix_space": false})"),
            "decoder has add_prefix_space false, but prepend_scheme 'always'");
  EXPECT_TRUE(error_with("/decoder", nested("decoders", 17)).ends_with("nested too deep"));
}

TEST(Refusals, AddedTokensAndConfig) {
  EXPECT_EQ(error_with("/added_tokens", R"([{"id": 3}])"), "added_tokens[0] has no content");
  EXPECT_EQ(error_of(good_file().dump(), "{"),
            "[tokenizer] DIR/tokenizer_config.json: no valid JSON at byte 2 of 1");
  EXPECT_EQ(error_of(good_file().dump(), R"({"bos_token": 7})"),
            "[tokenizer] DIR/tokenizer_config.json: bos_token is no string");
  EXPECT_EQ(error_of(good_file().dump(), R"({"added_tokens_decoder": 7})"),
            "[tokenizer] DIR/tokenizer_config.json: added_tokens_decoder is no object");
  EXPECT_EQ(error_of(good_file().dump(), R"({"added_tokens_decoder": {"x": {"content": "c"}}})"),
            "[tokenizer] DIR/tokenizer_config.json: added_tokens_decoder has the key 'x', which "
            "is no token id");
}

std::string regex_error(const std::string& expression) {
  try {
    text::Regex regex(expression);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Refusals, Expressions) {
  EXPECT_EQ(regex_error("[a-z&&[^b]]"), "&& in a class is not supported");
  EXPECT_EQ(regex_error("[a[b]]"), "a class inside a class is not supported");
  EXPECT_EQ(regex_error("[ab"), "']' is missing");
  EXPECT_EQ(regex_error("[z-a]"), "a range of a class runs backwards");
  EXPECT_EQ(regex_error("[[:print:]]"), "class [:print:] is not supported");
  EXPECT_EQ(regex_error("a)"), "')' closes no group");
  EXPECT_EQ(regex_error("(?x:a b)"), "option (?x) is not supported");
  EXPECT_EQ(regex_error("(*UTF)a"), "(*...) is not supported");
  EXPECT_EQ(regex_error(std::string(300, '(')), "groups are nested more than 200 deep");
  EXPECT_EQ(regex_error("\\Qa\\E"), "escape \\Q is not supported");
  EXPECT_EQ(regex_error("\\"), "the expression ends too early");
  EXPECT_EQ(regex_error("\\pL"), "\\p wants a name in braces");
  EXPECT_EQ(regex_error("\\p{}"), "\\p has an empty name");
  EXPECT_EQ(regex_error("\\p{a b}"), "property \\p{a b} is not supported");
  EXPECT_EQ(regex_error("\\p{Klingon}"), "unknown property after \\P or \\p");
  EXPECT_EQ(regex_error("\\p{L"), "'}' is missing");
  EXPECT_EQ(regex_error("\\kx"), "\\k wants a name in <>");
  EXPECT_EQ(regex_error("\\xff"), "\\xff is no character of UTF-8");
  EXPECT_EQ(regex_error("\\x{d800}"), "U+d800 is no character");
  EXPECT_EQ(regex_error("\\u12"), "'12' is no hexadecimal number of a character");
  EXPECT_EQ(regex_error("*"), "quantifier does not follow a repeatable item");
  EXPECT_EQ(regex_error("\xFF"), "the expression is no UTF-8");
  EXPECT_EQ(regex_error(std::string(70000, 'a')),
            "the expression has 70000 bytes, at most 65536 are read");
  std::string words;
  for (int i = 0; i < 20000; ++i) words += "\\w";
  EXPECT_EQ(regex_error(words), "the expression is too long once its sets are spelled out");
}

TEST(Refusals, EndlessMatching) {
  json file = good_file();
  file["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a+)+$|(a|aa)+c"}}}, {"behavior", "Isolated"}};
  const auto tokenizer = Tokenizer::from_json(file.dump(), "", "DIR/tokenizer.json");
  try {
    tokenizer->encode(std::string(64, 'a') + "b", true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[tokenizer] matching 65 bytes of text: match limit exceeded");
  }
}

TEST(Refusals, TextThatGrowsWithoutEnd) {
  json file = good_file();
  json steps = json::array();
  for (int i = 0; i < 12; ++i)
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aaaa"}});
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto tokenizer = Tokenizer::from_json(file.dump(), "", "DIR/tokenizer.json");
  try {
    tokenizer->encode("a", true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[tokenizer] normalizing 1 bytes gave 262144: more than 64 times as many");
  }
}

class Folder {
 public:
  Folder() : path_(::testing::TempDir() + "tokenizer_refusals") {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  std::string error() const {
    try {
      Tokenizer::load(path_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Refusals, Folders) {
  const Folder folder;
  EXPECT_EQ(folder.error(),
            "[tokenizer] " + folder.path() + " holds neither tokenizer.json nor tokenizer.model");
  folder.write("tokenizer.model", "no protobuf");
  EXPECT_EQ(folder.error(), "[tokenizer] " + folder.path() +
                                "/tokenizer.model is no SentencePiece model: 11 bytes");
  folder.write("tokenizer.json", "{}");
  EXPECT_EQ(folder.error(), "[tokenizer] " + folder.path() + "/tokenizer.json has no model");
}

}  // namespace
}  // namespace moge
