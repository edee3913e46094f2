#include "cli.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "byte_size.h"
#include "help.h"
#include "moge/core/error.h"
#include "parse.h"

namespace moge {
namespace {

struct Sample {
  std::string model, text = "none";
  int num = 4;
  double temp = 0.5;
  bool stream = true;
  bool no_special = false;
  std::vector<std::string> stop;
  std::vector<int64_t> batches = {1};

  void visit(FieldList& v) {
    v("model", model, "a model").positional().required();
    v("text", text, "a text").positional();
    v("num-tokens", num, "tokens").letter('n').also("n-predict");
    v("temp", temp, "temperature");
    v("stream", stream, "stream");
    v("no-special", no_special, "no special tokens");
    v("stop", stop, "stop texts");
    v("batches", batches, "batch sizes");
  }
};

struct Parsed {
  Sample sample;
  CommonOptions common;
};

Parsed parse(const std::vector<std::string>& args) {
  Parsed parsed;
  auto fields = fields_of(parsed.sample);
  for (const Field& field : fields_of(parsed.common)) fields.push_back(field);
  EXPECT_FALSE(parse_fields("sample", fields, args));
  return parsed;
}

std::string error_of(const std::vector<std::string>& args) {
  try {
    parse(args);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Parse, EverySpellingOfAnOption) {
  const auto p = parse({"m", "--num_tokens=7", "--temp", "-1.5", "--no-stream", "--no_special",
                        "--threads=2", "-v", "--output", "json"});
  EXPECT_EQ(p.sample.model, "m");
  EXPECT_EQ(p.sample.num, 7);
  EXPECT_EQ(p.sample.temp, -1.5);
  EXPECT_FALSE(p.sample.stream);
  EXPECT_TRUE(p.sample.no_special);
  EXPECT_EQ(p.common.threads, 2);
  EXPECT_TRUE(p.common.verbose);
  EXPECT_EQ(p.common.output, "json");
  EXPECT_EQ(parse({"m", "--n_predict", "9"}).sample.num, 9);
  EXPECT_EQ(parse({"m", "-n", "9"}).sample.num, 9);
  EXPECT_EQ(parse({"m", "-n9", "-n", "10"}).sample.num, 10);
  EXPECT_FALSE(parse({"m", "--stream=false"}).sample.stream);
}

TEST(Parse, KeepsTextsAsTyped) {
  const auto p =
      parse({"--stop", "[DONE]", "a,b", "--stop=", "m", "--batches", "1,8", "32", "--", "--a_b"});
  EXPECT_EQ(p.sample.stop, (std::vector<std::string>{"[DONE]", "a,b", ""}));
  EXPECT_EQ(p.sample.batches, (std::vector<int64_t>{1, 8, 32}));
  EXPECT_EQ(p.sample.model, "m");
  EXPECT_EQ(p.sample.text, "--a_b");
  EXPECT_EQ(parse({"--batches", "1,8", "m"}).sample.model, "m");
  EXPECT_EQ(parse({"m", "-"}).sample.text, "-");
  EXPECT_EQ(parse({"m", "[1, 2]"}).sample.text, "[1, 2]");
  EXPECT_EQ(parse({"m", ""}).sample.text, "");
  EXPECT_EQ(parse({"m", "--stop", "--x_y"}).sample.stop, std::vector<std::string>{"--x_y"});
}

TEST(Parse, ErrorsNameTheNearestOption) {
  EXPECT_EQ(error_of({"m", "--theads", "2"}),
            "unknown option '--theads', did you mean '--threads'?");
  EXPECT_EQ(error_of({"m", "--num_token=2"}),
            "unknown option '--num-token', did you mean '--num-tokens'?");
  EXPECT_EQ(error_of({"m", "--zzzzzzzz"}), "unknown option '--zzzzzzzz'");
  EXPECT_EQ(error_of({"m", "-x"}), "unknown option '-x'");
  EXPECT_EQ(error_of({"m", "t", "extra"}), "unexpected argument 'extra'");
  EXPECT_EQ(error_of({"m", "--temp"}), "--temp needs a value");
  EXPECT_EQ(error_of({"m", "--threads", "-1"}), "--threads: -1 is less than 0");
  EXPECT_EQ(error_of({}), "`moge sample` needs MODEL; see `moge sample --help`");
  EXPECT_EQ(error_of({"m", "--stream=2"}), "--stream: '2' is not true or false");
}

TEST(Parse, CommandLineOverFileOverDefault) {
  const std::string path = ::testing::TempDir() + "cli_test.json";
  std::ofstream(path) << R"({"num_tokens": 11, "temp": 2, "model": "from file"})";
  const auto p = parse({"--config", path, "--temp", "3"});
  EXPECT_EQ(p.sample.num, 11);
  EXPECT_EQ(p.sample.temp, 3);
  EXPECT_EQ(p.sample.model, "from file");
  EXPECT_TRUE(p.sample.stream);
  std::ofstream(path) << R"({"num_tokenz": 11})";
  EXPECT_EQ(error_of({"m", "--config", path}),
            path + ": no option is called 'num_tokenz', did you mean 'num-tokens'?");
  std::remove(path.c_str());
}

int main_of(const std::vector<std::string>& args, std::string& error_text) {
  Cli cli;
  cli.add<Sample>("sample run", "Runs a sample", [](Sample& sample, Run& run) {
    if (sample.text == "fail") fail("[sample] {} broke", sample.model);
    run.result({{"model", sample.model}});
  });
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  const int status = cli.main(args);
  error_text = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
  return status;
}

TEST(Cli, ExitStatusAndOneSentence) {
  std::string text;
  EXPECT_EQ(main_of({"sample", "run", "m", "--output=json"}, text), 0);
  EXPECT_EQ(text, "{\"model\":\"m\"}\n");
  EXPECT_EQ(main_of({"sample", "run", "m", "fail"}, text), 1);
  EXPECT_EQ(text, "moge: error: [sample] m broke\n");
  EXPECT_EQ(main_of({"sample", "run", "m", "fail", "-v"}, text), 1);
  EXPECT_NE(text.find("cli_test.cc:"), std::string::npos);
  EXPECT_EQ(main_of({"sample", "rum"}, text), 2);
  EXPECT_EQ(text, "moge: error: no command is called 'sample rum', did you mean 'sample run'?\n");
  EXPECT_EQ(main_of({"sample"}, text), 2);
  EXPECT_EQ(text, "moge: error: 'sample' is one of: sample run\n");
  EXPECT_EQ(main_of({}, text), 2);
  EXPECT_EQ(main_of({"sample", "run", "m", "--isa", "x86"}, text), 0);  // no kernel was asked for
}

TEST(Cli, HelpListsEveryOptionWithItsDefault) {
  std::string text;
  EXPECT_EQ(main_of({"--help"}, text), 0);
  EXPECT_NE(text.find("  sample run  Runs a sample\n"), std::string::npos);
  EXPECT_EQ(main_of({"sample", "--help"}, text), 0);
  EXPECT_NE(text.find("Usage: moge sample COMMAND"), std::string::npos);
  EXPECT_EQ(main_of({"sample", "run", "--help"}, text), 0);
  EXPECT_NE(text.find("Usage: moge sample run MODEL [TEXT] [options]"), std::string::npos);
  EXPECT_NE(text.find("-n, --num-tokens N"), std::string::npos);
  EXPECT_NE(text.find("tokens (also --n-predict) [default: 4]"), std::string::npos);
  EXPECT_NE(text.find("--[no-]stream"), std::string::npos);
  EXPECT_NE(text.find("--output text|json"), std::string::npos);
  EXPECT_EQ(main_of({"--version"}, text), 0);
  EXPECT_NE(text.find("instruction sets  scalar avx2 avx512 avx512_bf16\n"), std::string::npos);
}

TEST(Output, ReadableTextOfNestedJson) {
  const auto object = nlohmann::ordered_json::parse(
      R"({"a":{"b":1.5,"c":[1,2]},"none":null,"rows":[{"x":1,"name":"p"},{"x":10,"name":"qq"}]})");
  EXPECT_EQ(readable(object),
            "a.b   1.5\na.c   1 2\nnone  -\n   x  name\n   1  p   \n  10  qq  \n");
}

TEST(Progress, LineHasBarRateAndTimeLeft) {
  EXPECT_EQ(progress_line("train", 25, 100, 10.0, "loss 2.5", 0),
            "train [######..................] 25/100 25% 2.5/s 0:30 left loss 2.5");
  EXPECT_EQ(progress_line("train", 25, 100, 10.0, "loss 2.5", 12), "train [#####");
  EXPECT_EQ(progress_line("t", 0, 0, 0.0, "", 0), "t [........................] 0/0 0% 0/s");
}

TEST(Bytes, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(parse_bytes("4096", "x"), 4096);
  EXPECT_EQ(parse_bytes("4G", "x"), int64_t{4} << 30);
  EXPECT_EQ(parse_bytes("1.5GiB", "x"), int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("25.6k", "x"), 25600);
  for (const char* wrong : {"", "G", "-1", "4GB!", "4X", "nan", "1e300", "999999999T"})
    EXPECT_THROW(parse_bytes(wrong, "x"), UsageError) << wrong;
}

}  // namespace
}  // namespace moge
