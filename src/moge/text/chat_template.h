// Conversations into the one text that the model was trained on, by the template that comes with
// it. Renders what transformers' apply_chat_template renders.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace moge::text {

struct ChatOptions {
  bool add_generation_prompt = false;
  std::optional<std::string> bos_token, eos_token;  // absent: those of the model's folder
  const nlohmann::ordered_json* extra = nullptr;    // further variables: enable_thinking, ...
  std::optional<std::tm> now;                       // of strftime_now; absent: the local time
  int64_t max_steps = 10'000'000;
  int64_t max_bytes = int64_t{1} << 30;
};

/// A parsed template; immutable, so that many threads may render with it.
class ChatTemplate {
 public:
  /// Throws Error with the line of whatever the interpreter does not know.
  static ChatTemplate parse(std::string_view source);

  /// The template of a model's folder: chat_template.jinja, or `chat_template` of
  /// tokenizer_config.json (one text, or several with names, of which `tool_use` is taken where
  /// tools are given). Nothing where the folder has none.
  static std::optional<ChatTemplate> load(const std::filesystem::path& folder);

  /// `messages` is a list of objects with `role` and `content`; `tools` is null or a list.
  /// raise_exception in the template throws Error with the template's own words.
  std::string render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                     const ChatOptions& options) const;

  /// The template's own text: the default one where there are several.
  const std::string& source() const;

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

 private:
  struct Parsed;
  explicit ChatTemplate(std::unique_ptr<Parsed> parsed);
  std::unique_ptr<const Parsed> parsed_;
};

}  // namespace moge::text
