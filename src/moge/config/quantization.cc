#include "moge/config/quantization.h"

#include <nlohmann/json.hpp>

#include "moge/config/json_reader.h"
#include "moge/core/error.h"

namespace moge {

namespace {
using nlohmann::json;

constexpr size_t kMaxGroups = 256, kMaxNames = 1 << 16;
constexpr const char* kMethod = "compressed-tensors";
constexpr const char* kInt = "int-quantized";
constexpr const char* kPack = "pack-quantized";

const char* format_of(QuantScheme scheme) { return scheme == QuantScheme::kW8A8 ? kInt : kPack; }

std::vector<std::string> read_names(const JsonReader& in, const char* key) {
  std::vector<std::string> names;
  const auto* list = in.find(key);
  if (!list) return names;
  check(list->is_array() && list->size() <= kMaxNames, "{}: {} must be a list of at most {} names",
        in.where(), key, kMaxNames);
  for (const auto& name : *list) {
    check(name.is_string(), "{}: {} holds {}, which is not a name", in.where(), key,
          JsonReader::shown(name));
    names.push_back(name.get<std::string>());
  }
  return names;
}

const json& object_in(const JsonReader& in, const char* key, const char* otherwise) {
  const auto* value = in.find(key);
  check(value != nullptr, "{}: has no {}: {} is not implemented", in.where(), key, otherwise);
  check(value->is_object(), "{}: {} is {}, must be an object", in.where(), key,
        JsonReader::shown(*value));
  return *value;
}

/// Anything but null, false and empty is a feature that would change the numbers.
void refuse(const JsonReader& in, const char* key) {
  const auto* value = in.find(key);
  const bool neutral = !value || value->empty() || *value == false;
  check(neutral, "{}: {} is {}, which is not implemented", in.where(), key,
        value ? JsonReader::shown(*value) : "");
}

void check_integers(const JsonReader& in) {
  check(in.text("type", "int") == "int", "{}: type '{}' is not implemented (known: int)",
        in.where(), in.text("type", "int"));
  check(in.boolean("symmetric", true), "{}: symmetric false (zero points) is not implemented",
        in.where());
}

void check_activations(const json& value, const std::string& where) {
  const JsonReader in(value, where);
  check_integers(in);
  const int64_t bits = in.integer("num_bits", 8, 1, 64);
  const auto* dynamic = in.find("dynamic");
  const std::string strategy = in.text("strategy", "token");
  check(bits == 8 && strategy == "token" && dynamic && *dynamic == true,
        "{}: {} bits by {}{} are not implemented (known: 8 bits by token, dynamic)", where, bits,
        strategy, dynamic && *dynamic == true ? ", dynamic" : ", static");
}

/// W8A8 or W4A8; sets the group's size.
QuantScheme read_weights(const json& value, const std::string& where, QuantGroup& group) {
  const JsonReader in(value, where);
  check_integers(in);
  refuse(in, "dynamic");
  const std::string order = in.text("actorder", "static");
  check(order == "static" || order == "weight",
        "{}: actorder '{}' is not implemented (known: static, weight)", where, order);
  const int64_t bits = in.integer("num_bits", 8, 1, 64);
  const std::string strategy = in.text("strategy", bits == 8 ? "channel" : "group");
  if (bits == 8 && strategy == "channel") return QuantScheme::kW8A8;
  check(bits == 4 && strategy == "group",
        "{}: {} bits by {} are not implemented (known: 8 by channel, 4 by group)", where, bits,
        strategy);
  group.group_size = in.integer("group_size", 0, 1, int64_t{1} << 24);
  return QuantScheme::kW4A8;
}

QuantScheme read_group(const json& value, const std::string& where, QuantGroup& group) {
  const JsonReader in(value, where);
  group.targets = read_names(in, "targets");
  check(!group.targets.empty(), "{}: has no targets", where);
  const QuantScheme scheme = read_weights(object_in(in, "weights",
                                                    "quantizing nothing but "
                                                    "activations"),
                                          where + ".weights", group);
  check_activations(object_in(in, "input_activations", "multiplying activations that stay floats"),
                    where + ".input_activations");
  refuse(in, "output_activations");
  const std::string format = in.text("format", format_of(scheme));
  check(format == format_of(scheme), "{}: format '{}' of {} is not implemented (known: {})", where,
        format, name_of(scheme), format_of(scheme));
  return scheme;
}

json integers_to_json(int bits, const char* strategy, bool dynamic) {
  return {{"num_bits", bits},
          {"type", "int"},
          {"strategy", strategy},
          {"symmetric", true},
          {"dynamic", dynamic}};
}
}  // namespace

const char* name_of(QuantScheme scheme) {
  switch (scheme) {
    case QuantScheme::kW8A8:
      return "w8a8";
    case QuantScheme::kW4A8:
      return "w4a8";
    default:
      return "none";
  }
}

QuantizationConfig parse_quantization(const json& value, const std::string& where) {
  QuantizationConfig config;
  if (value.is_null()) return config;
  const std::string at = where + ": quantization_config";
  check(value.is_object(), "{} is {}, must be an object", at, JsonReader::shown(value));
  const JsonReader in(value, at);
  const std::string method = in.text("quant_method", "");
  check(method == kMethod, "{}: quant_method '{}' is not implemented (known: {})", at, method,
        kMethod);
  for (const char* key : {"kv_cache_scheme", "transform_config", "moe_sparsity_config"})
    refuse(in, key);
  if (const auto* sparsity = in.find("sparsity_config"); sparsity && !sparsity->empty()) {
    check(sparsity->is_object(), "{}: sparsity_config is {}, must be an object", at,
          JsonReader::shown(*sparsity));
    const std::string format = JsonReader(*sparsity, at + ".sparsity_config").text("format", "");
    check(format == "dense", "{}: sparsity_config's format '{}' is not implemented", at, format);
  }
  const std::string status = in.text("quantization_status", "compressed");
  check(status == "compressed", "{}: quantization_status is '{}', must be compressed", at, status);
  const json& groups = object_in(in, "config_groups", "a quantization without groups");
  check(!groups.empty() && groups.size() <= kMaxGroups, "{}: {} config_groups, want 1 to {}", at,
        groups.size(), kMaxGroups);
  for (const auto& [name, group] : groups.items()) {
    const std::string here = at + ".config_groups." + name.substr(0, 60);
    check(group.is_object(), "{} is {}, must be an object", here, JsonReader::shown(group));
    const QuantScheme scheme = read_group(group, here, config.groups.emplace_back());
    check(config.scheme == QuantScheme::kNone || config.scheme == scheme,
          "{}: {} beside {} in one model is not implemented", here, name_of(scheme),
          name_of(config.scheme));
    config.scheme = scheme;
  }
  const std::string format = in.text("format", format_of(config.scheme));
  check(format == format_of(config.scheme), "{}: format '{}' of {} is not implemented (known: {})",
        at, format, name_of(config.scheme), format_of(config.scheme));
  config.ignore = read_names(in, "ignore");
  return config;
}

json to_json(const QuantizationConfig& config) {
  if (config.scheme == QuantScheme::kNone) return nullptr;
  json groups = json::object();
  for (const QuantGroup& group : config.groups) {
    const bool grouped = config.scheme == QuantScheme::kW4A8;
    json weights = integers_to_json(grouped ? 4 : 8, grouped ? "group" : "channel", false);
    if (grouped) weights["group_size"] = group.group_size;
    groups["group_" + std::to_string(groups.size())] = {
        {"targets", group.targets},
        {"weights", weights},
        {"input_activations", integers_to_json(8, "token", true)},
        {"output_activations", nullptr},
        {"format", format_of(config.scheme)}};
  }
  return {{"quant_method", kMethod},
          {"format", format_of(config.scheme)},
          {"quantization_status", "compressed"},
          {"config_groups", groups},
          {"ignore", config.ignore},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

}  // namespace moge
