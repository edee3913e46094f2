#include "moge/serve/service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "moge/core/error.h"
#include "moge/grammar/compiled.h"
#include "moge/serve/api_error.h"
#include "moge/serve/chat_tools.h"

namespace moge::serve {

namespace {
constexpr int64_t kMaxTemplateSteps = 1'000'000;
}

void Service::check_model(const std::string& name) const {
  if (!name.empty() && name != model_name)
    throw ApiError(
        404, fmt::format("the model '{}' does not exist; this server has '{}'", name, model_name),
        "model", "model_not_found");
}

std::vector<int32_t> Service::tokens_of(const Prompt& prompt) const {
  return prompt.is_ids ? prompt.ids : tokenizer.encode(prompt.text, /*add_special=*/true);
}

std::string Service::text_of(const ChatRequest& request) const {
  if (!chat_template)
    throw ApiError(400, fmt::format("the model '{}' has no chat template", model_name), "messages");
  try {
    const auto kwargs = nlohmann::ordered_json::parse(request.template_kwargs_json);
    const text::ChatOptions options{.add_generation_prompt = request.add_generation_prompt,
                                    .extra = &kwargs,
                                    .max_steps = kMaxTemplateSteps,
                                    .max_bytes = static_cast<int64_t>(kMaxBodyBytes)};
    const bool offered = request.tool_choice.kind != ToolChoice::Kind::kNone;
    const bool knows_developers = chat_template->source().find("developer") != std::string::npos;
    auto messages = nlohmann::ordered_json::parse(request.messages_json);
    for (auto& message : messages)
      if (message["role"] == "developer" && !knows_developers) message["role"] = "system";
    return chat_template->render(
        messages, nlohmann::ordered_json::parse(offered ? request.tools_json : "null"), options);
  } catch (const Error& error) {
    throw ApiError(400, fmt::format("chat template: {}", error.what()), "messages");
  }
}

std::vector<int32_t> Service::tokens_of_chat(std::string_view text) const {
  return tokenizer.encode(text, /*add_special=*/false);
}

OutputForm Service::output_form(const ChatRequest& request, std::string_view text) const {
  using Kind = ToolChoice::Kind;
  OutputForm form{.reasoning = reasoning_form, .one_call = !request.parallel_tool_calls};
  if (reasoning_form)
    form.reasoning_open = without_trailing_space(text).ends_with(reasoning_form->begin);
  if (request.tool_choice.kind == Kind::kNone) return form;
  if (request.tool_choice.kind == Kind::kAuto && !tool_form)
    throw ApiError(
        501, "tools cannot be read from this model's text: start with --tool-call-parser", "tools");
  form.tools = &demanded_form();
  return form;
}

const ToolForm& Service::demanded_form() const {
  return tool_form ? *tool_form : *find_tool_form("hermes");
}

PreparedChat Service::prepare(ChatRequest& request) const {
  check_model(request.model);
  const std::string text = text_of(request);
  const OutputForm form = output_form(request, text);
  if (needs_special_tokens(form)) request.skip_special_tokens = false;
  hold_to_calls(request, demanded_form());
  return {.tokens = tokens_of_chat(text), .form = form};
}

bool Service::needs_special_tokens(const OutputForm& form) const {
  const auto is_control = [&](std::string_view marker) {
    const auto id = tokenizer.piece_to_id(marker);
    return id && tokenizer.is_special(*id);
  };
  return (form.tools && is_control(form.tools->begin)) ||
         (form.reasoning && is_control(form.reasoning->begin));
}

infer::Request Service::make_request(const GenerateRequest& request, std::vector<int32_t> prompt,
                                     int answer) const {
  infer::Request made{
      .prompt = std::move(prompt),
      .sampling = request.sampling,
      .want_experts = request.return_routed_experts || request.return_plain_topk_experts};
  made.priority = request.priority;
  made.cache_salt = request.cache_salt;
  made.prompt_logprobs =
      std::max(request.prompt_logprobs, request.echo ? request.sampling.num_logprobs : -1);
  if (request.best_of > request.n)  // they are compared by it
    made.sampling.num_logprobs = std::max(0, made.sampling.num_logprobs);
  made.sampling.seed += static_cast<uint64_t>(answer);
  if (request.grammar) {
    made.constraint = grammar::start_answer(request.grammar);
    if (request.asked_format->format.is_whole()) {  // a stop inside it would leave half of it
      made.sampling.stop.clear();
      made.sampling.stop_ids.clear();
    }
  }
  const auto room = engine.max_model_len() - static_cast<int64_t>(made.prompt.size());
  made.sampling.max_tokens = request.max_tokens.value_or(std::max<int64_t>(1, room));
  return made;
}

infer::RequestId Service::submit(infer::Request request, std::shared_ptr<infer::Sink> sink) const {
  try {
    return engine.submit(std::move(request), std::move(sink));
  } catch (const infer::QueueFull& error) {
    throw ApiError(429, error.what(), {}, "queue_full").with_header("Retry-After", "1");
  } catch (const Error& error) {
    // The engine's sentences begin with the field: "prompt has token id ...".
    const std::string text = error.what();
    throw ApiError(400, text, text.substr(0, text.find(' ')));
  }
}

}  // namespace moge::serve
