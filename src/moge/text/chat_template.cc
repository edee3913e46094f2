#include "moge/text/chat_template.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/text/jinja_json.h"
#include "moge/text/jinja_parser.h"
#include "moge/text/jinja_render.h"

namespace moge::text {

namespace {

using Json = nlohmann::ordered_json;

constexpr uintmax_t kMaxFileBytes = 64 << 20;
constexpr size_t kMaxTemplateBytes = 4 << 20;
constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};

jinja::Body parse_source(std::string_view source) {
  check(source.size() <= kMaxTemplateBytes, "[chat template] the source has {} bytes, at most {}",
        source.size(), kMaxTemplateBytes);
  return jinja::parse_template(source);
}

std::string read_file(const std::filesystem::path& path) {
  const uintmax_t size = std::filesystem::file_size(path);
  check(size <= kMaxFileBytes, "[chat template] {} has {} bytes, at most {}", path.string(), size,
        kMaxFileBytes);
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  check(file.gcount() == static_cast<std::streamsize>(size), "[chat template] cannot read {}",
        path.string());
  return text;
}

/// A special token is a string or an object with its `content`.
std::optional<std::string> token_text(const Json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object()) return std::nullopt;
  const auto content = found->find("content");
  const bool has = content != found->end() && content->is_string();
  return has ? std::optional(content->get<std::string>()) : std::nullopt;
}

std::tm local_time() {
  const std::time_t seconds = std::time(nullptr);
  std::tm local{};
  localtime_r(&seconds, &local);
  return local;
}

/// Runs `work`; what it throws names the file.
template <class Work>
auto naming_file(const std::filesystem::path& path, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(path.string() + ": " + error.what(), error.where());
  }
}

}  // namespace

struct ChatTemplate::Parsed {
  std::string source;
  jinja::Body body;
  std::optional<jinja::Body> tool_body;
  std::vector<std::pair<std::string, std::string>> special_tokens;

  void take(std::string_view text) {
    source = text;
    body = parse_source(text);
  }

  void take_special_tokens(const Json& config) {
    for (const char* name : kSpecialTokens) {
      if (auto text = token_text(config, name)) special_tokens.emplace_back(name, *text);
    }
  }

  /// Named templates: the one called "default" and, for tools, the one called "tool_use".
  void take_named(const Json& list) {
    bool has_default = false;
    for (const Json& entry : list) {
      const auto name = entry.is_object() ? entry.find("name") : entry.end();
      const auto text = entry.is_object() ? entry.find("template") : entry.end();
      const bool complete = entry.is_object() && name != entry.end() && text != entry.end() &&
                            name->is_string() && text->is_string();
      check(complete, "[chat template] chat_template: an entry lacks its name or template");
      if (*name == "default") take(text->get_ref<const std::string&>());
      if (*name == "tool_use") tool_body = parse_source(text->get_ref<const std::string&>());
      has_default |= *name == "default";
    }
    check(has_default, "[chat template] chat_template: none of its {} entries is named default",
          list.size());
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<Parsed> parsed) : parsed_(std::move(parsed)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

const std::string& ChatTemplate::source() const { return parsed_->source; }

ChatTemplate ChatTemplate::parse(std::string_view source) {
  auto parsed = std::make_unique<Parsed>();
  parsed->take(source);
  return ChatTemplate(std::move(parsed));
}

std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder) {
  auto parsed = std::make_unique<Parsed>();
  const auto config_path = folder / "tokenizer_config.json";
  Json config = Json::object();
  if (std::filesystem::exists(config_path)) {
    config = Json::parse(read_file(config_path), nullptr, /*allow_exceptions=*/false);
    check(config.is_object(), "[chat template] {} is not a JSON object", config_path.string());
    parsed->take_special_tokens(config);
  }
  if (const auto file = folder / "chat_template.jinja"; std::filesystem::exists(file)) {
    naming_file(file, [&] { parsed->take(read_file(file)); });
    return ChatTemplate(std::move(parsed));
  }
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::nullopt;
  naming_file(config_path, [&] {
    check(found->is_string() || found->is_array(),
          "[chat template] chat_template is neither a text nor a list");
    if (found->is_array()) return parsed->take_named(*found);
    parsed->take(found->get_ref<const std::string&>());
  });
  return ChatTemplate(std::move(parsed));
}

std::string ChatTemplate::render(const Json& messages, const Json& tools,
                                 const ChatOptions& options) const {
  jinja::Render render({.max_steps = options.max_steps, .max_bytes = options.max_bytes},
                       options.now.value_or(local_time()));
  jinja::NamedValues variables;
  const auto set = [&](const std::string& name, jinja::Value value) {
    for (auto& [key, old] : variables) {
      if (key != name) continue;
      old = std::move(value);
      return;
    }
    variables.emplace_back(name, std::move(value));
  };
  for (const auto& [name, text] : parsed_->special_tokens) set(name, make_string(render, text));
  if (options.bos_token) set("bos_token", make_string(render, *options.bos_token));
  if (options.eos_token) set("eos_token", make_string(render, *options.eos_token));
  set("messages", value_from_json(render, messages));
  set("tools", value_from_json(render, tools));
  set("documents", jinja::None{});
  set("add_generation_prompt", options.add_generation_prompt);
  if (options.extra) {
    check(options.extra->is_object(), "[chat template] the extra variables are not an object");
    for (const auto& [name, value] : options.extra->items())
      set(name, value_from_json(render, value));
  }
  const bool use_tools = parsed_->tool_body && !tools.is_null();
  return render.run_template(use_tools ? *parsed_->tool_body : parsed_->body, std::move(variables));
}

}  // namespace moge::text
