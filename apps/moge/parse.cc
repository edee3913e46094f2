#include "parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/fields_json.h"
#include "moge/core/names.h"

namespace moge {

namespace {

using Args = std::vector<std::string>;

bool looks_like_option(const std::string& text) {
  return text.size() >= 2 && text[0] == '-' &&
         (std::isalpha(static_cast<unsigned char>(text[1])) || text[1] == '-');
}

/// A list of texts takes every word up to the next option; a list of numbers only numbers.
bool continues_list(const Field& field, const std::string& word) {
  if (looks_like_option(word)) return false;
  if (std::holds_alternative<std::vector<std::string>*>(field.value)) return true;
  return !word.empty() && word.find_first_not_of("0123456789+-.,eE") == std::string::npos;
}

[[noreturn]] void refuse_unknown(const std::vector<Field>& fields, const std::string& name) {
  std::vector<std::string> names = {"--help"};
  for (const Field& field : fields) {
    if (field.is_positional) continue;
    names.push_back("--" + field.name);
    for (const std::string& alias : field.aliases) names.push_back("--" + alias);
  }
  throw UsageError(
      fmt::format("unknown option '--{}'{}", name, did_you_mean("--" + normal_name(name), names)));
}

const Field& find_option(const std::vector<Field>& fields, const std::string& name, bool& negated) {
  const Field* field = find_field(fields, name);
  negated = false;
  if (!field && name.starts_with("no-")) {
    field = find_field(fields, name.substr(3));
    negated = field && field->is_flag();
    if (!negated) field = nullptr;
  }
  if (!field || field->is_positional) refuse_unknown(fields, name);
  return *field;
}

/// Rewrites long options into the one form that CLI11 reads without surprises: a known name with
/// dashes, its value as the next word (`--x=` is an empty value), lists as repeated options.
Args normalize(const std::vector<Field>& fields, const Args& args) {
  Args out;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    if (word == "--") {
      out.insert(out.end(), args.begin() + static_cast<long>(i), args.end());
      break;
    }
    if (!word.starts_with("--") || word == "--help") {
      out.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = normal_name(word.substr(2, equals - 2));
    bool negated = false;
    const Field& field = find_option(fields, name, negated);
    if (field.is_flag()) {
      const std::string value = equals == word.npos ? "true" : word.substr(equals + 1);
      if (negated && value != "true") throw UsageError(fmt::format("--{} takes no value", name));
      out.push_back("--" + field.name + "=" + (negated ? "false" : value));
      continue;
    }
    if (equals != word.npos) {
      out.insert(out.end(), {"--" + field.name, word.substr(equals + 1)});
      continue;
    }
    if (i + 1 == args.size()) throw UsageError(fmt::format("--{} needs a value", field.name));
    out.insert(out.end(), {"--" + field.name, args[++i]});
    while (field.is_list() && i + 1 < args.size() && continues_list(field, args[i + 1]))
      out.insert(out.end(), {"--" + field.name, args[++i]});
  }
  return out;
}

CLI::Option* add_to(CLI::App& app, const Field& field) {
  if (field.is_positional)
    return app.add_option(field.name, [](const CLI::results_t&) { return true; });
  const std::string names =
      (field.short_name ? fmt::format("-{},", field.short_name) : "") + "--" + field.name;
  if (field.is_flag())
    return app.add_flag(names)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  return app.add_option(names, [](const CLI::results_t&) { return true; })
      ->multi_option_policy(field.is_list() ? CLI::MultiOptionPolicy::TakeAll
                                            : CLI::MultiOptionPolicy::TakeLast);
}

void apply_config_file(const std::vector<Field>& fields,
                       const std::map<const Field*, Args>& typed) {
  const Field* config = find_field(fields, "config");
  if (!config || !typed.contains(config)) return;
  const std::string& path = typed.at(config).back();
  fields_from_json(fields, read_json_object(path), path);
}

void check_required(const std::string& command, const std::vector<Field>& fields) {
  for (const Field& field : fields)
    if (field.is_required && to_text(field).empty()) {
      std::string name = field.is_positional ? field.name : "--" + field.name;
      if (field.is_positional) std::transform(name.begin(), name.end(), name.begin(), ::toupper);
      throw UsageError(fmt::format("`moge {0}` needs {1}; see `moge {0} --help`", command, name));
    }
}

}  // namespace

bool parse_fields(const std::string& command, const std::vector<Field>& fields, const Args& args) {
  CLI::App app;
  app.set_help_flag();
  bool wants_help = false;
  app.add_flag("-h,--help", wants_help);
  app.allow_extras();
  std::map<const Field*, CLI::Option*> options;
  for (const Field& field : fields) options[&field] = add_to(app, field);
  Args words = normalize(fields, args);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (wants_help) return true;
  Args rest = app.remaining();
  std::erase(rest, "--");  // CLI11 leaves the end-of-options mark there
  if (!rest.empty())
    throw UsageError(fmt::format(
        "{} '{}'", looks_like_option(rest[0]) ? "unknown option" : "unexpected argument", rest[0]));
  std::map<const Field*, Args> typed;
  for (const Field& field : fields)
    if (options[&field]->count() > 0) typed[&field] = options[&field]->results();
  apply_config_file(fields, typed);
  for (const auto& [field, texts] : typed) set_from_text(*field, texts);
  check_required(command, fields);
  return false;
}

}  // namespace moge
