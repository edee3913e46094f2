#include "moge/text/chat_template.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/test_paths.h"

namespace moge::text {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path kGoldens = testing::own_goldens() / "chat";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The moment at which make_chat_cases.py stops the clock: Monday, 2026-03-09 14:05:07.
std::tm fixed_now() {
  std::tm now{};
  now.tm_year = 126, now.tm_mon = 2, now.tm_mday = 9, now.tm_wday = 1, now.tm_yday = 67;
  now.tm_hour = 14, now.tm_min = 5, now.tm_sec = 7;
  return now;
}

struct Outcome {
  bool failed = false;
  std::string text;  // the rendering or the error
};

template <class Work>
Outcome attempt(Work work) {
  try {
    return {false, work()};
  } catch (const Error& error) {
    return {true, error.what()};
  }
}

/// A case holds `output`, or `error` and perhaps the `message` of raise_exception.
void expect_case(const Json& golden, const Outcome& got, const std::string& what) {
  if (golden.contains("output")) {
    EXPECT_FALSE(got.failed) << what << "\nfailed: " << got.text;
    EXPECT_EQ(got.text, golden["output"].get<std::string>()) << what;
    return;
  }
  EXPECT_TRUE(got.failed) << what << "\nwant " << golden["error"] << ", got: " << got.text;
  if (golden.contains("message")) {
    EXPECT_EQ(got.text, golden["message"].get<std::string>()) << what;
  } else {
    EXPECT_TRUE(got.text.starts_with("[chat template] line ")) << what << "\n" << got.text;
  }
}

TEST(ChatTemplate, SnippetsGiveWhatJinjaGives) {
  const Json file = Json::parse(read(kGoldens / "snippets.json"));
  const Json& context = file["context"];
  ASSERT_GE(file["cases"].size(), 400u);
  for (const Json& golden : file["cases"]) {
    const auto source = golden["template"].get<std::string>();
    const Outcome got = attempt([&] {
      const ChatOptions options{.extra = &context, .now = fixed_now()};
      return ChatTemplate::parse(source).render(context["messages"], nullptr, options);
    });
    expect_case(golden, got, source);
  }
}

TEST(ChatTemplate, OwnTemplatesRenderAsWithTransformers) {
  const Json file = Json::parse(read(kGoldens / "conversations.json"));
  ASSERT_GE(file["cases"].size(), 100u);
  for (const Json& golden : file["cases"]) {
    const auto name = golden["template"].get<std::string>();
    const Json& talk = file["conversations"][golden["conversation"].get<size_t>()];
    const ChatTemplate chat = ChatTemplate::parse(read(kGoldens / (name + ".jinja")));
    const Json extra = talk.value("extra", Json::object());
    const ChatOptions options{.add_generation_prompt = golden["add_generation_prompt"],
                              .bos_token = "<s>",
                              .eos_token = "</s>",
                              .extra = &extra,
                              .now = fixed_now()};
    const Outcome got = attempt(
        [&] { return chat.render(talk["messages"], talk.value("tools", Json()), options); });
    expect_case(golden, got, name + " conversation " + golden["conversation"].dump());
  }
}

TEST(ChatTemplate, ReferenceConversationsOfTransformers) {
  const fs::path folder = testing::shared_goldens() / "tokenizers/chat";
  if (!fs::exists(folder / "cases.json")) {
    GTEST_SKIP() << "no reference conversations in " << folder;
  }
  const Json file = Json::parse(read(folder / "cases.json"));
  const ChatOptions tokens{.bos_token = file["bos_token"].get<std::string>()};
  for (const Json& golden : file["rendered"]) {
    const auto name = golden["template"].get<std::string>();
    ChatOptions options = tokens;
    options.add_generation_prompt = golden["add_generation_prompt"];
    const ChatTemplate chat = ChatTemplate::parse(read(folder / (name + ".jinja")));
    EXPECT_EQ(chat.render(golden["messages"], nullptr, options), golden["text"].get<std::string>());
  }
  for (const Json& refused : file["refused"]) {
    const ChatTemplate chat =
        ChatTemplate::parse(read(folder / (refused["template"].get<std::string>() + ".jinja")));
    EXPECT_THROW(chat.render(refused["messages"], nullptr, tokens), Error);
  }
}

// ---- loading ----

class ChatTemplateFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("moge_chat_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  std::string render(const Json& tools = nullptr) {
    return ChatTemplate::load(folder_)->render(Json::array(), tools, {});
  }
  fs::path folder_;
};

TEST_F(ChatTemplateFolder, HasNoneWithoutFiles) {
  EXPECT_FALSE(ChatTemplate::load(folder_).has_value());
  write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_FALSE(ChatTemplate::load(folder_).has_value());
}

TEST_F(ChatTemplateFolder, TakesTheConfigsTemplateAndTokens) {
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false},
            "chat_template": "{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}"})");
  EXPECT_EQ(render(), "<s></s>False");
}

TEST_F(ChatTemplateFolder, TakesTheNamedTemplateThatFits) {
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "T"},
                              {"name": "default", "template": "D"}]})");
  EXPECT_EQ(render(), "D");
  EXPECT_EQ(render(Json::array()), "T");
}

TEST_F(ChatTemplateFolder, PrefersTheFileOfItsOwn) {
  write("tokenizer_config.json", R"({"bos_token": "<s>", "chat_template": "config"})");
  write("chat_template.jinja", "{{ bos_token }}file\n");
  EXPECT_EQ(render(), "<s>file");
}

TEST_F(ChatTemplateFolder, NamesTheFileOfABadTemplate) {
  write("chat_template.jinja", "a\n{% nonsense %}");
  const Outcome got = attempt([&] { return render(); });
  EXPECT_EQ(got.text, (folder_ / "chat_template.jinja").string() +
                          ": [chat template] line 2: unknown tag 'nonsense'");
  write("chat_template.jinja", "\xff");
  EXPECT_NE(attempt([&] { return render(); }).text.find("not UTF-8"), std::string::npos);
}

TEST_F(ChatTemplateFolder, RefusesConfigsOfTheWrongForm) {
  for (const char* config : {"[]", "{", R"({"chat_template": 5})", R"({"chat_template": [5]})",
                             R"({"chat_template": [{"name": "x", "template": "y"}]})",
                             R"({"chat_template": [{"name": "default"}]})"}) {
    write("tokenizer_config.json", config);
    EXPECT_TRUE(attempt([&] { return render(); }).failed) << config;
  }
}

TEST(ChatTemplate, OptionsOverrideTheFoldersTokens) {
  const ChatTemplate chat = ChatTemplate::parse("{{ bos_token }}|{{ eos_token }}|{{ x }}");
  const Json extra = {{"x", 5}, {"eos_token", "extra"}};
  EXPECT_EQ(chat.render(Json::array(), nullptr, {.bos_token = "B", .extra = &extra}), "B|extra|5");
}

}  // namespace
}  // namespace moge::text
