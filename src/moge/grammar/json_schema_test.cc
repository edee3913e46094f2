// JSON Schema: texts that match, texts that do not, and what is refused by name.
#include <gtest/gtest.h>

#include "moge/grammar/test_vocabulary.h"

namespace moge::grammar {
namespace {

struct Case {
  const char* schema;
  std::vector<std::string> in, out;
};

void check_cases(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    const auto compiled = compile(schema(c.schema));
    for (const std::string& text : c.in)
      EXPECT_TRUE(matches(*compiled, text)) << c.schema << "\n" << text;
    for (const std::string& text : c.out)
      EXPECT_FALSE(matches(*compiled, text)) << c.schema << "\n" << text;
  }
}

TEST(JsonSchema, AnyValueAndAnyObject) {
  check_cases(
      {{R"({})",
        {"1", "-0.5e+10", R"("a\n\u00e9\ud83d\ude00é")", "[1, [], {}]", R"({"a": [true,null]})"},
        {"", "01", "1.", "\"\n\"", R"("\x")", R"("\ud83d")", "[1,]", "{\"a\":  1}", "tru",
         "1234567890123456", "[1 ,2]", "\"\xC3\""}},
       {R"({"type": "object"})", {"{}", "{ }", R"({"a": {"b": []}})"}, {"[]", "1"}},
       {R"(true)", {"1"}, {""}}});
  const auto object = compile({.kind = OutputFormat::Kind::kJsonObject});
  EXPECT_TRUE(matches(*object, R"( {"a": [1, {"b": "c"}]})"));
  EXPECT_FALSE(matches(*object, "[]"));
}

TEST(JsonSchema, Objects) {
  check_cases({
      {R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]})",
       {R"({"name": "x"})", R"({"name":"x","age":-5})", R"({ "name": "x", "age": 0 })"},
       {"{}", R"({"age": 1})", R"({"age": 1, "name": "x"})", R"({"name": 1})",
        R"({"name": "x", "other": 1})", R"({"name": "x",})"}},
      {R"({"properties":{"a":{},"b":{},"c":{}}})",
       {"{}", R"({"a":1})", R"({"b":1})", R"({"c":1})", R"({"a":1,"c":1})",
        R"({"a":1,"b":1,"c":1})"},
       {R"({"c":1,"a":1})", R"({,"a":1})", R"({"a":1 "b":1})", "[]"}},
      {R"({"properties":{"ab":{"type":"null"}},"additionalProperties":{"type":"boolean"},"required":["z"]})",
       {R"({"z":true})", R"({"ab":null,"z":false,"q\"":true,"abc":true,"a":false})"},
       {R"({"ab":null})", R"({"z":true,"ab":true})", R"({"z":1})", R"({"z":true,"\u0061b":true})"}},
      {R"({"additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":2})",
       {R"({"a":1})", R"({"a":1,"b":2})"},
       {"{}", R"({"a":1,"b":2,"c":3})", R"({"a":"x"})"}},
      {R"({"properties":{"a":{},"b":{},"c":{}},"minProperties":2,"maxProperties":2})",
       {R"({"a":1,"b":2})", R"({"a":1,"c":2})", R"({"b":1,"c":2})"},
       {"{}", R"({"a":1})", R"({"a":1,"b":2,"c":3})"}},
      {R"({"patternProperties":{"^s_":{"type":"string"},"^n_":{"type":"number"}},"additionalProperties":false})",
       {"{}", R"({"s_a":"x","n_":1.5})"},
       {R"({"s_a":1})", R"({"x":1})"}},
      {R"({"type":"object","propertyNames":{"pattern":"^[a-z]{1,2}$"}})",
       {R"({"ab":1,"c":{}})"},
       {R"({"abc":1})", R"({"A":1})"}},
      {R"({"type":"object","properties":{},"additionalProperties":false})", {"{}"}, {R"({"a":1})"}},
  });
}

TEST(JsonSchema, ArraysStringsAndValues) {
  check_cases({
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[ 1, 2,3 ]"},
       {"[]", "[1,2,3,4]", "[1.5]", "[,1]"}},
      {R"({"items":{"type":"null"}})", {"[]", "[null]", "[null, null]"}, {"[1]", "{}"}},
      {R"({"type":"array","minItems":2})", {"[1,\"a\"]", "[1,2,3]"}, {"[]", "[1]"}},
      {R"({"prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})",
       {"[]", "[\"a\"]", "[\"a\",1]"},
       {"[1]", "[\"a\",1,1]"}},
      {R"({"items":[{"type":"string"}],"additionalItems":{"type":"integer"},"minItems":1})",
       {"[\"a\"]", "[\"a\",1,2]"},
       {"[]", "[\"a\",\"b\"]"}},
      {R"({"type":"array","maxItems":0})", {"[]", "[ ]"}, {"[1]"}},
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"\xC3\xA9\\n\\u0041\"", "\"\xF0\x9F\x98\x80\xE4\xB8\xAD\""},
       {"\"a\"", "\"abcd\"", "\"\xC3\xA9\""}},
      {R"({"type":"string","pattern":"^[a-c]+$","maxLength":3})",
       {"\"abc\""},
       {"\"\"", "\"abca\"", "\"d\""}},
      {R"({"pattern":"b\"c"})", {R"("ab\"cd")"}, {R"("ab")", R"("abcd")"}},
      {R"({"type":"string","format":"date"})", {"\"2024-02-28\""}, {"\"2024-02-30\"", "\"x\""}},
      {R"({"type":"string","format":"uri","minLength":1,"maxLength":2083})",
       {"\"https://a.example.com/x\""},
       {"\"x\""}},
      {R"({"type":"string","format":"whatever"})", {"\"x\""}, {"1"}},
      {R"({"enum":["a","b\n",1,2.5,null,true,{"x":[1]}]})",
       {"\"a\"", "\"b\\n\"", "1", "2.5", "null", "true", "{\"x\":[1]}"},
       {"\"c\"", "false", "2"}},
      {R"({"type":"string","enum":["a",1],"minLength":1})", {"\"a\""}, {"1"}},
      {R"({"const":"only"})", {"\"only\""}, {"\"other\""}},
      {R"({"type":["string","null"]})", {"null", "\"\""}, {"1"}},
  });
}

TEST(JsonSchema, Numbers) {
  check_cases({
      {R"({"type":"integer"})",
       {"0", "-7", "123456789012345"},
       {"-0", "1.0", "1234567890123456", "1e2"}},
      {R"({"type":"integer","minimum":0,"maximum":120})",
       {"0", "7", "99", "120"},
       {"121", "-1", "200", "1200"}},
      {R"({"type":"integer","exclusiveMinimum":-15,"exclusiveMaximum":7})",
       {"-14", "-9", "0", "6"},
       {"-15", "7", "-20", "10"}},
      {R"({"type":"integer","minimum":1000000000000000000,"maximum":9223372036854775807})",
       {"1000000000000000000", "9223372036854775807"},
       {"9223372036854775808", "999999999999999999", "5"}},
      {R"({"type":"number","minimum":0.25,"maximum":10})",
       {"0.25", "0.3", "1", "10", "10.0", "9.999", "0.250"},
       {"0.2", "0.249", "10.01", "11", "-1", "0", "1e1"}},
      {R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})",
       {"0.5", "0.01", "0.99"},
       {"0", "1", "0.0", "1.0", "-0.5", "-0"}},
      {R"({"type":"number","minimum":-1.5,"maximum":-0.5})",
       {"-1.5", "-1", "-0.5", "-0.75"},
       {"-1.6", "-0.4", "1", "0"}},
      {R"({"type":"integer","minimum":0.5})", {"1", "2"}, {"0"}},
      {R"({"type":"integer","multipleOf":7,"minimum":0})", {"0", "7", "700"}, {"1", "8", "-7"}},
      {R"({"type":"number","multipleOf":0.01,"minimum":0})", {"0.5", "1.25", "3"}, {"1.255", "-1"}},
      {R"({"minimum":5,"allOf":[{"maximum":6}],"type":"integer"})", {"5", "6"}, {"4", "7"}},
      {R"({"type":"number"})", {"0", "-0", "1.5e-10", "1E5"}, {"1e100", ".5", "+1", "1e", "00"}},
  });
}

TEST(JsonSchema, CombinationsAndReferences) {
  check_cases({
      {R"({"anyOf":[{"type":"integer"},{"type":"object","properties":{"k":{"const":"v"}},"required":["k"]}]})",
       {"5", R"({"k":"v"})"},
       {"\"x\"", "{}"}},
      {R"({"oneOf":[{"type":"string"},{"type":"null"}],"title":"T"})", {"null", "\"\""}, {"1"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],
           "anyOf":[{"properties":{"b":{"type":"string"}},"required":["b"]},{"properties":{"c":{"type":"null"}}}]})",
       {R"({"a":1,"b":"x"})", R"({"a":1})", R"({"a":1,"c":null})"},
       {R"({"b":"x"})", R"({"a":1,"b":1})"}},
      {R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},
                    {"properties":{"a":{"minimum":3},"b":{"type":"null"}}}]})",
       {R"({"a":3})", R"({"a":4,"b":null})"},
       {R"({"a":2})", "{}"}},
      {R"({"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"v":{"type":"integer"},
           "next":{"anyOf":[{"$ref":"#/$defs/N"},{"type":"null"}]}},"required":["v","next"]}}})",
       {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":{"v":3,"next":null}}})"},
       {R"({"v":1})", R"({"v":1,"next":{}})"}},
      {R"({"type":"array","items":{"$ref":"#"}})", {"[]", "[[],[[]]]"}, {"[1]"}},
      {R"({"definitions":{"a~b/c":{"type":"null"}},"$ref":"#/definitions/a~0b~1c"})",
       {"null"},
       {"1"}},
      {R"({"anyOf":[{"$ref":"#"},{"type":"string"}]})", {"\"x\""}, {"1"}},
      {R"({"anyOf":[{"type":"string","maxLength":2},{"type":"string","pattern":"^x"}],"minLength":1})",
       {"\"ab\"", "\"xyz\""},
       {"\"\"", "\"abc\""}},
  });
}

TEST(JsonSchema, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
      {R"({"not":{"type":"string"}})", "the keyword not"},
      {R"({"properties":{"a":{"if":{}}}})", "#/properties/a has the keyword if"},
      {R"({"type":"array","contains":{}})", "contains"},
      {R"({"dependentRequired":{}})", "dependentRequired"},
      {R"({"unevaluatedProperties":false})", "unevaluatedProperties"},
      {R"({"tpye":"string"})", "tpye"},
      {R"({"type":"text"})", "text"},
      {R"({"$ref":"http://example.com/x"})", "$ref"},
      {R"({"$ref":"#/$defs/none"})", "leads nowhere"},
      {R"({"$ref":"#"})", "without end"},
      {R"x({"pattern":"(?=a)"})x", "look-around"},
      {R"({"type":"string","maxLength":1000000})", "maxLength"},
      {R"({"minItems":-1})", "minItems"},
      {R"({"type":"number","multipleOf":0.3})", "multipleOf"},
      {R"({"minimum":"x"})", "minimum"},
      {R"({"minimum":1e300})", "minimum"},
      {R"({"enum":[[1]],"type":"array","items":{}})", "enum"},
      {R"({"type":"integer","minimum":5,"maximum":4})", "no text at all"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "no text at all"},
      {R"({"minimum":9e999})", "no double holds"},
      {"[1]", "not a JSON object"},
      {"{", "not JSON"},
      {"\xFF", "not JSON"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_NE(message_of([&, t = text] { compile(schema(t)); }).find(message), std::string::npos)
        << text << ": " << message_of([&, t = text] { compile(schema(t)); });
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += R"({"items":)";
  EXPECT_NE(message_of([&] { compile(schema(deep)); }), "");
  std::string keys = "{";
  for (int i = 0; i < 5000; ++i) keys += fmt::format(R"("{}":{{}},)", i);
  EXPECT_NE(message_of([&] { compile(schema(keys + R"("type":"null"})")); }).find("4096"),
            std::string::npos);
  std::string wide = R"({"anyOf":[)";
  for (int i = 0; i < 40; ++i) wide += R"({"anyOf":[{"minLength":1},{"maxLength":5}]},)";
  EXPECT_EQ(message_of([&] { compile(schema(wide + "{}]}")); }), "");
}

}  // namespace
}  // namespace moge::grammar
