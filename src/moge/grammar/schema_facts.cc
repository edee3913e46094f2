#include "moge/grammar/schema_facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"

namespace moge::grammar {

namespace {

constexpr std::array kKnown = {"$ref",
                               "$defs",
                               "definitions",
                               "allOf",
                               "anyOf",
                               "oneOf",
                               "type",
                               "enum",
                               "const",
                               "properties",
                               "required",
                               "additionalProperties",
                               "patternProperties",
                               "propertyNames",
                               "minProperties",
                               "maxProperties",
                               "items",
                               "prefixItems",
                               "additionalItems",
                               "minItems",
                               "maxItems",
                               "uniqueItems",
                               "minLength",
                               "maxLength",
                               "pattern",
                               "format",
                               "minimum",
                               "maximum",
                               "exclusiveMinimum",
                               "exclusiveMaximum",
                               "multipleOf"};

/// Keywords that describe and do not constrain.
constexpr std::array kAnnotations = {
    "title",  "description",     "default",          "examples", "example",   "$schema",
    "$id",    "$comment",        "deprecated",       "readOnly", "writeOnly", "discriminator",
    "strict", "contentEncoding", "contentMediaType", "$anchor",  "id",        "externalDocs"};

bool contains(const auto& list, const auto& key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

constexpr int kMaxKeys = 4096;  // of an object

Json parse_text(std::string_view text) {
  check(static_cast<int64_t>(text.size()) <= kMaxText,
        "the schema has {} bytes, at most {} are allowed", text.size(), kMaxText);
  bool too_deep = false;
  bool too_wide = false;
  std::vector<int> keys;  // of the objects that are open; looked up one by one
  const Json::parser_callback_t bound = [&](int depth, Json::parse_event_t event, Json&) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start) keys.push_back(0);
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key) too_wide = too_wide || ++keys.back() > kMaxKeys;
    too_deep = too_deep || depth > kMaxNesting;
    return !too_deep && !too_wide;
  };
  Json json;
  try {
    json = Json::parse(text, bound);
  } catch (const Json::parse_error& error) {
    fail("the schema is not JSON: error at byte {}", error.byte);
  } catch (const Json::out_of_range&) {
    fail("the schema has a number that no double holds");
  }
  check(!too_deep, "the schema nests deeper than {}", kMaxNesting);
  check(!too_wide, "the schema has an object of more than {} members", kMaxKeys);
  check(json.is_object() || json.is_boolean(), "the schema is not a JSON object");
  return json;
}

std::string unescaped(std::string token) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = token.find(from, at)) != std::string::npos; at += to.size())
      token.replace(at, from.size(), to);
  };
  for (size_t at = 0; (at = token.find('%', at)) != std::string::npos; ++at) {
    const std::string digits = token.substr(at + 1, 2);
    if (digits.size() == 2 &&
        digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos)
      token.replace(at, 3, 1, static_cast<char>(std::stoi(digits, nullptr, 16)));
  }
  replace("~1", "/");
  replace("~0", "~");
  return token;
}

}  // namespace

struct SchemaDocument::Expansion {
  Parts out;
  std::vector<const Json*> chain;  // of $ref and allOf above the schema at hand
  bool never = false;
};

SchemaDocument::SchemaDocument(std::string_view text)
    : root_(std::make_unique<const Json>(parse_text(text))) {
  note_origins(*root_);
}
SchemaDocument::~SchemaDocument() = default;

void SchemaDocument::note_origins(const Json& of) {
  if (!of.is_structured()) return;
  size_t index = 0;
  for (auto it = of.begin(); it != of.end(); ++it, ++index) {
    origins_[&*it] = {&of, of.is_object() ? it.key() : std::to_string(index)};
    note_origins(*it);
  }
}

std::string SchemaDocument::path_of(const Json& schema) const {
  std::string path;
  for (auto it = origins_.find(&schema); it != origins_.end();
       it = origins_.find(it->second.parent))
    path = '/' + it->second.key + path;
  return '#' + path;
}

void SchemaDocument::refuse(const Json& schema, const std::string& why) const {
  fail("the schema at {} {}", path_of(schema), why);
}

void SchemaDocument::check_keywords(const Json& schema) const {
  for (const auto& [key, value] : schema.items()) {
    if (contains(kKnown, key) || contains(kAnnotations, key) || key.starts_with("x-")) continue;
    refuse(schema, fmt::format("has the keyword {}, which is not supported", key));
  }
}

const Json& SchemaDocument::target_of(const Json& schema) const {
  const Json& ref = schema["$ref"];
  if (!ref.is_string()) refuse(schema, "has a $ref that is not a string");
  const auto pointer = ref.get<std::string>();
  if (!pointer.starts_with('#'))
    refuse(schema,
           fmt::format("has the $ref {}, only those inside the schema (#/...) are supported",
                       pointer));
  const Json* at = root_.get();
  for (size_t begin = 1; begin < pointer.size();) {
    if (pointer[begin] != '/')
      refuse(schema, fmt::format("has the $ref {}, which is not a JSON pointer", pointer));
    const size_t end = std::min(pointer.find('/', begin + 1), pointer.size());
    const std::string token = unescaped(pointer.substr(begin + 1, end - begin - 1));
    const bool is_index = at->is_array() && !token.empty() && token.size() < 7 &&
                          token.find_first_not_of("0123456789") == std::string::npos;
    if (at->is_object() && at->contains(token))
      at = &at->at(token);
    else if (is_index && std::stoul(token) < at->size())
      at = &at->at(std::stoul(token));
    else
      refuse(schema, fmt::format("has the $ref {}, which leads nowhere", pointer));
    begin = end;
  }
  return *at;
}

void SchemaDocument::expand_into(const Json& schema, Expansion& to) const {
  if (schema.is_boolean()) {
    to.never = to.never || !schema.get<bool>();
    return;
  }
  if (!schema.is_object()) refuse(schema, "is neither an object nor true or false");
  if (contains(to.chain, &schema)) refuse(schema, "refers to itself by $ref without end");
  if (contains(to.out, Part{&schema})) return;
  check(to.out.size() < 256, "the schema puts more than 256 schemas together by allOf and $ref");
  check_keywords(schema);
  to.out.push_back({&schema});
  to.chain.push_back(&schema);
  if (schema.contains("$ref")) expand_into(target_of(schema), to);
  if (const auto all = schema.find("allOf"); all != schema.end()) {
    if (!all->is_array()) refuse(schema, "has an allOf that is not a list");
    for (const Json& each : *all) expand_into(each, to);
  }
  to.chain.pop_back();
}

std::optional<Parts> SchemaDocument::expand(const std::vector<const Json*>& schemas) const {
  Expansion expansion;
  for (const Json* schema : schemas) expand_into(*schema, expansion);
  const auto asks = [](const Part& p) {
    for (const auto& [key, value] : p.schema->items())
      if (contains(kKnown, key) && key != "$ref" && key != "$defs" && key != "definitions" &&
          key != "allOf")
        return true;
    return false;
  };
  std::erase_if(expansion.out, [&](const Part& p) { return !asks(p); });
  if (expansion.never) return {};
  return std::move(expansion.out);
}

int64_t SchemaDocument::count(const Json& schema, const char* key) const {
  const Json& value = schema[key];
  const bool whole = value.is_number() && value.get<double>() == std::floor(value.get<double>());
  if (!whole || value.get<double>() < 0)
    refuse(schema, fmt::format("has a {} that is no size", key));
  if (value.get<double>() > kMaxRepeat)
    refuse(schema,
           fmt::format("has a {} of {}, at most {} is supported", key, value.dump(), kMaxRepeat));
  return static_cast<int64_t>(value.get<double>());
}

bool Facts::is_required(const std::string& name) const { return contains(required, name); }

namespace {

class Gatherer {
 public:
  explicit Gatherer(const SchemaDocument& document) : document_(document) {}

  void add(const Json& schema) {
    add_types(schema);
    add_values(schema);
    add_numbers(schema);
    add_strings(schema);
    add_arrays(schema);
    add_objects(schema);
  }

  Facts take() {
    if (facts_.types & kNumber) facts_.types &= static_cast<uint8_t>(~kInteger);
    return std::move(facts_);
  }

 private:
  [[noreturn]] void refuse(const Json& schema, const std::string& why) {
    document_.refuse(schema, why);
  }

  uint8_t type_bit(const Json& schema, const Json& type) {
    static constexpr std::pair<const char*, uint8_t> kNames[] = {
        {"object", kObject},   {"array", kArray},
        {"string", kString},   {"number", kNumber | kInteger},
        {"integer", kInteger}, {"boolean", kBoolean},
        {"null", kNull}};
    for (const auto& [name, bit] : kNames)
      if (type == name) return bit;
    refuse(schema, fmt::format("has the type {}, which JSON Schema does not know",
                               type.dump(-1, ' ', true, Json::error_handler_t::replace)));
  }

  /// A keyword of one type without the type itself: that type is meant.
  static uint8_t implied_types(const Json& schema) {
    static constexpr std::pair<const char*, uint8_t> kHints[] = {
        {"properties", kObject},
        {"required", kObject},
        {"additionalProperties", kObject},
        {"patternProperties", kObject},
        {"propertyNames", kObject},
        {"minProperties", kObject},
        {"maxProperties", kObject},
        {"items", kArray},
        {"prefixItems", kArray},
        {"minItems", kArray},
        {"maxItems", kArray},
        {"minLength", kString},
        {"maxLength", kString},
        {"pattern", kString},
        {"format", kString},
        {"minimum", kNumber | kInteger},
        {"maximum", kNumber | kInteger},
        {"exclusiveMinimum", kNumber | kInteger},
        {"exclusiveMaximum", kNumber | kInteger},
        {"multipleOf", kNumber | kInteger}};
    uint8_t types = 0;
    for (const auto& [key, bit] : kHints)
      if (schema.contains(key)) types |= bit;
    return types == 0 ? uint8_t{kAnyType} : types;
  }

  void add_types(const Json& schema) {
    const auto type = schema.find("type");
    uint8_t types = 0;
    if (type == schema.end()) {
      const bool says_values = schema.contains("enum") || schema.contains("const");
      types = says_values ? uint8_t{kAnyType} : implied_types(schema);
    } else if (type->is_array()) {
      for (const Json& each : *type) types |= type_bit(schema, each);
    } else {
      types = type_bit(schema, *type);
    }
    facts_.types &= types;
  }

  void add_values(const Json& schema) {
    if (const auto it = schema.find("enum"); it != schema.end()) {
      if (!it->is_array()) refuse(schema, "has an enum that is not a list");
      std::vector<const Json*> values;
      for (const Json& value : *it) values.push_back(&value);
      facts_.value_sets.push_back(std::move(values));
    }
    if (const auto it = schema.find("const"); it != schema.end())
      facts_.value_sets.push_back({&*it});
  }

  void add_numbers(const Json& schema) {
    NumberBounds& bounds = facts_.bounds;
    add_bound(schema, "minimum", "exclusiveMinimum", bounds.low, low_);
    add_bound(schema, "maximum", "exclusiveMaximum", bounds.high, high_);
    if (const auto it = schema.find("multipleOf"); it != schema.end()) add_multiple(schema, *it);
  }

  /// Draft 4 has a boolean exclusiveMinimum beside minimum; later ones have a number of its own.
  void add_bound(const Json& schema, const char* key, const char* open_key,
                 std::optional<NumberBounds::Bound>& bound, double& tightest) {
    const auto plain = schema.find(key), open = schema.find(open_key);
    const bool draft4 = open != schema.end() && open->is_boolean();
    if (plain != schema.end())
      tighten(schema, *plain, draft4 && open->get<bool>(), key, bound, tightest);
    if (open != schema.end() && !draft4)
      tighten(schema, *open, /*open=*/true, open_key, bound, tightest);
  }

  void tighten(const Json& schema, const Json& value, bool open, const char* key,
               std::optional<NumberBounds::Bound>& bound, double& tightest) {
    if (!value.is_number()) refuse(schema, fmt::format("has a {} that is not a number", key));
    facts_.has_bounds = true;
    const double number = value.get<double>();
    const bool is_low = &bound == &facts_.bounds.low;
    const bool looser = is_low ? number < tightest : number > tightest;
    if (bound && (looser || (number == tightest && !open))) return;
    tightest = number;
    try {
      bound = NumberBounds::Bound{decimal_of(value.dump()), open};
      if (open && bound->value.whole.size() + bound->value.fraction.size() > 15)
        bound = {decimal_of(Json(std::nextafter(number, is_low ? HUGE_VAL : -HUGE_VAL)).dump()),
                 /*open=*/false};  // texts of so many digits can round to the bound itself
    } catch (const Error& error) {
      refuse(schema, fmt::format("has a {} that cannot be used: {}", key, error.what()));
    }
  }

  void add_multiple(const Json& schema, const Json& value) {
    const double number = value.is_number() ? value.get<double>() : 0;
    if (!(number > 0)) refuse(schema, "has a multipleOf that is not a positive number");
    NumberBounds& bounds = facts_.bounds;
    facts_.has_bounds = true;
    if (number == std::floor(number)) {
      if (number > 4096 || bounds.multiple_of)
        refuse(schema, "has a multipleOf above 4096, or several, which is not supported");
      bounds.multiple_of = static_cast<int64_t>(number);
      bounds.integer = true;
      return;
    }
    for (int digits = 1; digits <= 9; ++digits)
      if (decimal_of(value.dump()).fraction ==
              std::string(static_cast<size_t>(digits) - 1, '0') + "1" &&
          number < 1) {
        bounds.max_fraction = std::min(bounds.max_fraction, digits);
        return;
      }
    refuse(schema,
           fmt::format("has a multipleOf of {}; supported are whole numbers and 0.1, 0.01, …",
                       value.dump()));
  }

  void add_strings(const Json& schema) {
    if (schema.contains("minLength"))
      facts_.min_length = std::max(facts_.min_length, document_.count(schema, "minLength"));
    if (schema.contains("maxLength"))
      lower(facts_.max_length, document_.count(schema, "maxLength"));
    if (const auto it = schema.find("format"); it != schema.end()) {
      if (!it->is_string()) refuse(schema, "has a format that is not a string");
      const std::string pattern = format_pattern(it->get<std::string>());
      if (!pattern.empty()) add_pattern(pattern);
    }
    if (const auto it = schema.find("pattern"); it != schema.end()) {
      if (!it->is_string()) refuse(schema, "has a pattern that is not a string");
      add_pattern(it->get<std::string>());
    }
  }

  void add_pattern(const std::string& pattern) {
    if (!contains(facts_.patterns, pattern)) facts_.patterns.push_back(pattern);
  }

  static void lower(int64_t& bound, int64_t to) { bound = bound < 0 ? to : std::min(bound, to); }

  void add_arrays(const Json& schema) {
    if (schema.contains("minItems"))
      facts_.min_items = std::max(facts_.min_items, document_.count(schema, "minItems"));
    if (schema.contains("maxItems")) lower(facts_.max_items, document_.count(schema, "maxItems"));
    const auto unique = schema.find("uniqueItems");
    if (unique != schema.end() && *unique != false)
      refuse(schema, "has the keyword uniqueItems, which is not supported");
    for (const char* key : {"items", "prefixItems", "additionalItems", "minItems", "maxItems"})
      facts_.shapes_arrays = facts_.shapes_arrays || schema.contains(key);
  }

  void add_objects(const Json& schema) {
    for (const char* key : {"properties", "required", "additionalProperties", "patternProperties",
                            "propertyNames", "minProperties", "maxProperties"})
      facts_.shapes_objects = facts_.shapes_objects || schema.contains(key);
    for (const char* key : {"properties", "patternProperties"})
      if (schema.contains(key) && !schema[key].is_object())
        refuse(schema, fmt::format("has {} that are not an object", key));
    if (schema.contains("minProperties"))
      facts_.min_properties =
          std::max(facts_.min_properties, document_.count(schema, "minProperties"));
    if (schema.contains("maxProperties"))
      lower(facts_.max_properties, document_.count(schema, "maxProperties"));
    if (const auto it = schema.find("required"); it != schema.end()) {
      if (!it->is_array()) refuse(schema, "has a required that is not a list of names");
      for (const Json& name : *it) {
        if (!name.is_string()) refuse(schema, "has a required that is not a list of names");
        if (!facts_.is_required(name.get<std::string>())) facts_.required.push_back(name);
      }
    }
  }

  const SchemaDocument& document_;
  Facts facts_;
  double low_ = 0, high_ = 0;
};

}  // namespace

Facts gather(const SchemaDocument& document, const Parts& parts) {
  Gatherer gatherer(document);
  for (const Part& part : parts) gatherer.add(*part.schema);
  return gatherer.take();
}

std::string format_pattern(const std::string& format) {
  static constexpr const char* kDate =
      "[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"
      "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
  static constexpr const char* kTime =
      "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?"
      "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
  static constexpr const char* kByte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  static constexpr const char* kName = "[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?";
  const auto whole = [](const std::string& pattern) { return '^' + pattern + '$'; };
  if (format == "date") return whole(kDate);
  if (format == "time") return whole(kTime);
  if (format == "date-time") return whole(fmt::format("{}T{}", kDate, kTime));
  if (format == "ipv4") return whole(fmt::format("(?:{0}\\.){{3}}{0}", kByte));
  if (format == "uuid")
    return whole("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
  if (format == "uuid4")
    return whole("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  if (format == "email")
    return whole(fmt::format(
        "[A-Za-z0-9_+-]{{1,32}}(?:\\.[A-Za-z0-9_+-]{{1,16}}){{0,2}}@(?:{}\\.){{1,3}}[a-z]{{2,8}}",
        kName));
  if (format == "uri" || format == "url")
    return whole(
        fmt::format("https?://(?:{}\\.){{1,3}}[a-z]{{2,8}}(?:/[A-Za-z0-9._~/-]{{0,200}})?", kName));
  if (format == "duration")
    return whole("P(?:[0-9]{1,3}D(?:T[0-9]{1,2}H)?|T[0-9]{1,3}[HMS]|T[0-9]{1,3}H[0-9]{1,2}M)");
  return "";
}

}  // namespace moge::grammar
