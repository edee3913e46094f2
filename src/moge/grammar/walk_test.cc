// Random texts drawn through the masks: whatever stops is JSON that validates.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/grammar/test_validator.h"
#include "moge/grammar/test_vocabulary.h"

namespace moge::grammar {
namespace {

using nlohmann::json;

/// Random schemas of every supported keyword.
class SchemaMaker {
 public:
  explicit SchemaMaker(std::mt19937_64& rng) : rng_(rng) {}

  json make() {
    json root = schema(0);
    root["$defs"]["node"] = json::parse(R"({"type":"object","properties":{"v":{"type":"integer"},
        "next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v"]})");
    root["$defs"]["word"] = string();
    return root;
  }

 private:
  int draw(int below) { return static_cast<int>(rng_() % static_cast<uint64_t>(below)); }

  json schema(int depth) {
    switch (draw(depth >= 3 ? 6 : 10)) {
      case 0:
        return string();
      case 1:
        return number();
      case 2:
        return json::parse(R"({"enum":["a","\u00e9\n\"",1,-2.5,null,{"x":[1,"]"]}]})");
      case 3:
        return {{"type", {"boolean", "null"}}};
      case 4:
        return {{"$ref", draw(2) == 0 ? "#/$defs/node" : "#/$defs/word"}};
      case 5:
        return draw(3) == 0 ? json::object() : json{{"const", "kind"}};
      case 6:
        return {{"anyOf", {schema(depth + 1), schema(depth + 1)}}};
      case 7:
        return array(depth);
      default:
        return object(depth);
    }
  }

  json string() {
    json s{{"type", "string"}};
    if (draw(3) == 0) s["minLength"] = draw(4);
    if (draw(3) == 0) s["maxLength"] = 4 + draw(8);
    static const char* kPatterns[] = {"^[a-c]+$", "a[b-d]c", "^x(y|z)*",
                                      "\\d{2}$",  "^[^a]*$", "\"\\\\"};
    if (draw(3) == 0) s["pattern"] = kPatterns[draw(6)];
    return s;
  }

  json number() {
    json s{{"type", draw(2) == 0 ? "integer" : "number"}};
    const double low = draw(400) * 0.25 - 50;
    if (draw(2) == 0) s[draw(2) == 0 ? "minimum" : "exclusiveMinimum"] = low;
    if (draw(2) == 0) s[draw(2) == 0 ? "maximum" : "exclusiveMaximum"] = low + 2 + draw(1000);
    if (draw(4) == 0) s["multipleOf"] = s["type"] == "integer" ? json(1 + draw(2)) : json(0.5 / 5);
    return s;
  }

  json array(int depth) {
    json s{{"type", "array"}, {"items", schema(depth + 1)}};
    if (draw(2) == 0) s["minItems"] = draw(3);
    if (draw(2) == 0) s["maxItems"] = 3 + draw(3);
    if (draw(4) == 0) s["prefixItems"] = {schema(depth + 1), schema(depth + 1)};
    return s;
  }

  json object(int depth) {
    json s{{"type", "object"}, {"required", json::array()}};
    static const char* kNames[] = {"name", "id", "na\"me", "\xC3\xA9", "items"};
    for (const char* name : kNames) {
      if (draw(2) == 0) continue;
      s["properties"][name] = schema(depth + 1);
      if (draw(2) == 0) s["required"].push_back(name);
    }
    if (draw(4) == 0) s["additionalProperties"] = draw(2) == 0 ? json(true) : schema(depth + 1);
    if (draw(4) == 0) s["minProperties"] = s["required"].size();
    if (draw(6) == 0) s["patternProperties"]["^n[0-9]"] = schema(depth + 1);
    if (draw(4) == 0) s["allOf"] = json::array({json{{"required", s["required"]}}});
    return s;
  }

  std::mt19937_64& rng_;
};

TEST(Walks, WhatStopsParsesAndValidates) {
  std::mt19937_64 rng(7);
  const auto vocabulary = test_vocabulary();
  int stopped = 0, walks = 0;
  for (int i = 0; i < 150; ++i) {
    const json root = SchemaMaker(rng).make();
    std::shared_ptr<const CompiledGrammar> grammar;
    const std::string refused =
        message_of([&] { grammar = compile(schema(root.dump()), vocabulary); });
    if (!refused.empty()) {  // bounds that leave nothing
      ASSERT_NE(refused.find("no text at all"), std::string::npos) << refused << root.dump();
      continue;
    }
    for (int j = 0; j < 4; ++j, ++walks) {
      const Walk walk = random_walk(grammar, *vocabulary, rng, 300);
      if (!walk.stopped) continue;
      ++stopped;
      const json value = json::parse(walk.text, nullptr, /*allow_exceptions=*/false);
      ASSERT_FALSE(value.is_discarded()) << root.dump() << "\n" << walk.text;
      EXPECT_EQ(invalid_because(root, value, root), "") << root.dump() << "\n" << walk.text;
      EXPECT_TRUE(matches(*grammar, walk.text)) << walk.text;
    }
  }
  EXPECT_GT(stopped, walks * 3 / 4) << "of " << walks;
}

TEST(Walks, TextsOfRegularExpressionsMatch) {
  std::mt19937_64 rng(8);
  const auto vocabulary = test_vocabulary();
  for (const char* text :
       {"(a|bc)*d", "[^a-z]{2,5}", "(\\d+\\.){2}x?", "\xC3\xA9+|[\xE4\xB8\xAD-\xE4\xB8\xB0]"}) {
    const auto grammar = compile(regex(text), vocabulary);
    int stopped = 0;
    for (int i = 0; i < 20; ++i) {
      const Walk walk = random_walk(grammar, *vocabulary, rng, 200);
      stopped += walk.stopped;
      EXPECT_TRUE(!walk.stopped || matches(*grammar, walk.text)) << text << ' ' << walk.text;
    }
    EXPECT_GT(stopped, 0) << text;
  }
}

TEST(Walks, NumbersAndBlanksEnd) {
  const auto vocabulary = test_vocabulary();
  for (const char* text : {R"({"type":"integer"})", R"({"type":"number"})",
                           R"({"type":"array","items":{"type":"null"},"maxItems":2})"}) {
    const auto answer = start_answer(compile(schema(text), vocabulary));
    int steps = 0;
    for (; !answer->finished() && steps < 100; ++steps) {  // digits and blanks wherever they may be
      const std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
      int32_t id = ids.back();
      for (const int32_t greedy : {1 + ' ', 1 + '9'})
        if (std::binary_search(ids.begin(), ids.end(), greedy)) id = greedy;
      answer->advance(id);
    }
    EXPECT_LT(steps, 40) << text;
  }
}

}  // namespace
}  // namespace moge::grammar
