#include "moge/serve/output_format_fields.h"

#include <utility>

#include "moge/serve/request_fields.h"

namespace moge::serve {

namespace {

using grammar::OutputFormat;
using Kind = OutputFormat::Kind;

constexpr size_t kMaxChoices = 4096;

/// A schema as an object, or (vLLM) as a text.
OutputFormat schema_of(const Json& value, const char* field) {
  if (value.is_string()) return {.kind = Kind::kJsonSchema, .text = value.get<std::string>()};
  require(value.is_object() || value.is_boolean(), field, "{} is not a JSON Schema", field);
  return {.kind = Kind::kJsonSchema, .text = value.dump()};
}

OutputFormat choices_of(const Json& value, const char* field) {
  require(value.is_array() && !value.empty() && value.size() <= kMaxChoices, field,
          "{} is not a list of 1 to {} texts", field, kMaxChoices);
  OutputFormat format{.kind = Kind::kChoice};
  for (const Json& choice : value) format.choices.push_back(as_text(choice, field));
  return format;
}

/// `type` text, json_object (llama.cpp: with a schema beside it) or json_schema.
std::optional<OutputFormat> of_response_format(const Json& value) {
  constexpr const char* field = "response_format";
  require(value.is_object(), field, "response_format is not an object");
  const std::string type = read_text(value, "type");
  if (type == "text") return {};
  const Json* schema = find(value, "schema");
  if (type == "json_object")
    return schema ? schema_of(*schema, field) : OutputFormat{.kind = Kind::kJsonObject};
  require(type == "json_schema", field,
          "response_format has the type '{}'; known are text, json_object, json_schema", type);
  if (const Json* named = find(value, "json_schema")) {
    require(named->is_object(), field, "response_format.json_schema is not an object");
    schema = find(*named, "schema");
  }
  require(schema != nullptr, field, "response_format.json_schema has no schema");
  return schema_of(*schema, field);
}

/// vLLM's object of one of json, regex, choice, grammar, json_object.
std::optional<OutputFormat> of_structured_outputs(const Json& value) {
  constexpr const char* field = "structured_outputs";
  require(value.is_object(), field, "structured_outputs is not an object");
  std::vector<OutputFormat> asked;
  if (const Json* schema = find(value, "json")) asked.push_back(schema_of(*schema, field));
  if (const Json* text = find(value, "regex"))
    asked.push_back({.kind = Kind::kRegex, .text = as_text(*text, field)});
  if (const Json* list = find(value, "choice")) asked.push_back(choices_of(*list, field));
  if (const Json* text = find(value, "grammar"))
    asked.push_back({.kind = Kind::kGbnf, .text = as_text(*text, field)});
  if (read_bool(value, "json_object", false)) asked.push_back({.kind = Kind::kJsonObject});
  require(!find(value, "structural_tag"), field,
          "structured_outputs.structural_tag is not supported");
  require(asked.size() == 1, field,
          "structured_outputs has {} of json, regex, choice, grammar and json_object, want one",
          asked.size());
  return asked[0];
}

std::optional<OutputFormat> of_grammar(const Json& value) {
  std::string text = as_text(value, "grammar");
  if (text.empty()) return {};  // llama.cpp's spelling of none
  return OutputFormat{.kind = Kind::kGbnf, .text = std::move(text)};
}

using Read = std::optional<OutputFormat> (*)(const Json& value);
constexpr std::pair<const char*, Read> kFields[] = {
    {"response_format", of_response_format},
    {"structured_outputs", of_structured_outputs},
    {"guided_json",
     [](const Json& v) -> std::optional<OutputFormat> { return schema_of(v, "guided_json"); }},
    {"guided_regex",
     [](const Json& v) -> std::optional<OutputFormat> {
       return OutputFormat{.kind = Kind::kRegex, .text = as_text(v, "guided_regex")};
     }},
    {"guided_choice",
     [](const Json& v) -> std::optional<OutputFormat> { return choices_of(v, "guided_choice"); }},
    {"guided_grammar",
     [](const Json& v) -> std::optional<OutputFormat> {
       return OutputFormat{.kind = Kind::kGbnf, .text = as_text(v, "guided_grammar")};
     }},
    {"grammar", of_grammar},
    {"json_schema",
     [](const Json& v) -> std::optional<OutputFormat> { return schema_of(v, "json_schema"); }}};

}  // namespace

std::optional<AskedFormat> read_output_format(const Json& body) {
  std::optional<AskedFormat> asked;
  for (const auto& [field, read] : kFields) {
    const Json* value = find(body, field);
    if (!value) continue;
    std::optional<OutputFormat> format = read(*value);
    if (!format) continue;
    require(!asked, field, "{} and {} both say what form the output has", asked->field, field);
    asked = {std::move(*format), field};
  }
  return asked;
}

}  // namespace moge::serve
