#include "moge/core/fields.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/fields_json.h"
#include "moge/core/names.h"

namespace moge {
namespace {

enum class Style { kConstant, kLinear, kCosine };

struct Sample {
  bool flag = false;
  int port = 8080;
  int64_t steps = 10;
  uint64_t seed = 1;
  float eps = 1e-5f;
  double rate = 0.25;
  std::string host = "here";
  std::optional<int64_t> limit;
  std::optional<double> clip = 1.0;
  std::vector<int64_t> batches = {1, 8};
  std::vector<double> betas = {0.9, 0.95};
  std::vector<std::string> files, places = {"here"};
  Style style = Style::kLinear;

  void visit(FieldList& v) {
    v("flag", flag, "a flag");
    v("port", port, "a port").between(1, 65535);
    v("steps", steps, "steps").at_least(0).also("train-iters");
    v("seed", seed, "seed");
    v("eps", eps, "eps");
    v("learning-rate", rate, "rate");
    v("host", host, "host").one_of({"here", "there"});
    v("limit", limit, "limit");
    v("clip", clip, "clip").at_least(0);
    v("batches", batches, "batches").at_least(1);
    v("betas", betas, "betas");
    v("files", files, "files");
    v("places", places, "places").one_of({"here", "there"});
    v("style", style, {"constant", "linear", "cosine"}, "style");
  }
};

void set(Sample& sample, const char* name, std::vector<std::string> texts) {
  const auto fields = fields_of(sample);
  const Field* field = find_field(fields, name);
  ASSERT_NE(field, nullptr) << name;
  set_from_text(*field, texts);
}

std::string error_of(const char* name, std::vector<std::string> texts) {
  Sample sample;
  try {
    set(sample, name, std::move(texts));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Fields, SetsEveryTypeFromText) {
  Sample s;
  set(s, "flag", {"true"});
  set(s, "port", {"1"});
  set(s, "train_iters", {"20"});
  set(s, "seed", {"18446744073709551615"});
  set(s, "eps", {"1e-6"});
  set(s, "learning_rate", {"-2.5"});
  set(s, "host", {"there"});
  set(s, "limit", {"-3"});
  set(s, "clip", {"0"});
  set(s, "batches", {"1,2", "3"});
  set(s, "betas", {"0.5"});
  set(s, "files", {"a,b", "[c]"});
  set(s, "places", {"there,here", "there"});
  set(s, "style", {"cosine"});
  EXPECT_TRUE(s.flag);
  EXPECT_EQ(s.port, 1);
  EXPECT_EQ(s.steps, 20);
  EXPECT_EQ(s.seed, UINT64_MAX);
  EXPECT_EQ(s.eps, 1e-6f);
  EXPECT_EQ(s.rate, -2.5);
  EXPECT_EQ(s.host, "there");
  EXPECT_EQ(s.limit, -3);
  EXPECT_EQ(s.clip, 0.0);
  EXPECT_EQ(s.batches, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(s.betas, (std::vector<double>{0.5}));
  EXPECT_EQ(s.files, (std::vector<std::string>{"a,b", "[c]"}));
  EXPECT_EQ(s.places, (std::vector<std::string>{"there", "here", "there"}));
  EXPECT_EQ(s.style, Style::kCosine);
}

TEST(Fields, RefusesWithOneSentence) {
  EXPECT_EQ(error_of("port", {"abc"}), "--port: 'abc' is not a whole number");
  EXPECT_EQ(error_of("port", {"1.5"}), "--port: '1.5' is not a whole number");
  EXPECT_EQ(error_of("port", {""}), "--port: '' is not a whole number");
  EXPECT_EQ(error_of("port", {"70000"}), "--port: 70000 is not between 1 and 65535");
  EXPECT_EQ(error_of("port", {"99999999999"}),
            "--port: '99999999999' is not within the type's range");
  EXPECT_EQ(error_of("steps", {"-1"}), "--steps: -1 is less than 0");
  EXPECT_EQ(error_of("seed", {"-1"}), "--seed: '-1' is not a whole number from 0 on");
  EXPECT_EQ(error_of("learning-rate", {"nan"}), "--learning-rate: 'nan' is not a number");
  EXPECT_EQ(error_of("flag", {"maybe"}), "--flag: 'maybe' is not true or false");
  EXPECT_EQ(error_of("host", {"else"}), "--host: 'else' is none of here, there");
  EXPECT_EQ(error_of("places", {"here,else"}), "--places: 'else' is none of here, there");
  EXPECT_EQ(error_of("style", {"step"}), "--style: 'step' is none of constant, linear, cosine");
  EXPECT_EQ(error_of("batches", {"4,0"}), "--batches: 0 is less than 1");
  EXPECT_EQ(error_of("files", {}), "--files needs a value");
}

TEST(Fields, JsonRoundTripKeepsEveryValue) {
  Sample a;
  a.limit = 7;
  a.files = {"x"};
  a.style = Style::kCosine;
  const auto json = fields_to_json(fields_of(a));
  EXPECT_EQ(json["learning_rate"], 0.25);
  EXPECT_EQ(json["style"], "cosine");
  Sample b;
  EXPECT_FALSE(configs_equal(a, b));
  fields_from_json(fields_of(b), json, "sample.json");
  EXPECT_TRUE(configs_equal(a, b));
  a.limit.reset();
  EXPECT_TRUE(fields_to_json(fields_of(a))["limit"].is_null());
}

TEST(Fields, JsonNamesFileKeyAndWant) {
  const auto error_of_json = [](const char* text) -> std::string {
    Sample sample;
    try {
      fields_from_json(fields_of(sample), nlohmann::ordered_json::parse(text), "c.json");
    } catch (const UsageError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_of_json(R"({"prot":1})"),
            "c.json: no option is called 'prot', did you mean 'port'?");
  EXPECT_EQ(error_of_json(R"({"port":"1"})"), "c.json: port is \"1\", want a whole number");
  EXPECT_EQ(error_of_json(R"({"port":4294967296})"),
            "c.json: port is 4294967296, want a whole number");
  EXPECT_EQ(error_of_json(R"({"port":0})"), "c.json: --port: 0 is not between 1 and 65535");
  EXPECT_EQ(error_of_json(R"({"files":"a"})"), "c.json: files is \"a\", want a list");
  EXPECT_EQ(error_of_json(R"({"style":"x"})"),
            "c.json: style is \"x\", want one of constant, linear, cosine");
  EXPECT_EQ(error_of_json(R"({"flag":1})"), "c.json: flag is 1, want true or false");
}

TEST(Fields, ReadsJsonFilesOnlyWhenTheyAreObjects) {
  const std::string path = ::testing::TempDir() + "fields_test.json";
  std::ofstream(path) << "{\"a\": ";
  EXPECT_THROW(read_json_object(path), UsageError);
  std::ofstream(path) << "[1]";
  EXPECT_THROW(read_json_object(path), UsageError);
  std::ofstream(path) << "{\"a\": 1}";
  EXPECT_EQ(read_json_object(path)["a"], 1);
  std::remove(path.c_str());
  EXPECT_THROW(read_json_object(path), UsageError);
}

TEST(Fields, TableShowsEveryValue) {
  Sample sample;
  const std::string table = fields_table(fields_of(sample));
  EXPECT_NE(table.find("learning-rate  0.25\n"), std::string::npos);
  EXPECT_NE(table.find("batches        1,8\n"), std::string::npos);
  EXPECT_NE(table.find("limit          -\n"), std::string::npos);
}

TEST(Names, NearestIsATypingErrorAway) {
  const std::vector<std::string> names = {"threads", "seed", "micro-batch-size"};
  EXPECT_EQ(nearest_name("thread", names), "threads");
  EXPECT_EQ(nearest_name("sede", names), "seed");
  EXPECT_EQ(nearest_name("microbatchsize", names), "micro-batch-size");
  EXPECT_EQ(nearest_name("zzzzzz", names), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'a'), names), "");
  EXPECT_EQ(did_you_mean("theads", names), ", did you mean 'threads'?");
  EXPECT_EQ(normal_name("a_b-c"), "a-b-c");
}

}  // namespace
}  // namespace moge
