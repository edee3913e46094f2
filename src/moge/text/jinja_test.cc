// What goldens cannot show: refusals at load with their line, and the limits that a hostile
// template or conversation meets.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "moge/core/error.h"
#include "moge/text/chat_template.h"

namespace moge::text {
namespace {

using Json = nlohmann::ordered_json;

std::string load_error(const std::string& source) {
  try {
    ChatTemplate::parse(source);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string render(const std::string& source, const Json& extra = Json::object(),
                   ChatOptions options = {}) {
  options.extra = &extra;
  return ChatTemplate::parse(source).render(Json::array(), nullptr, options);
}

std::string render_error(const std::string& source, const Json& extra = Json::object(),
                         ChatOptions options = {}) {
  try {
    return "no error: " + render(source, extra, options).substr(0, 100);
  } catch (const Error& error) {
    return error.what();
  }
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Jinja, RefusesWhatItDoesNotKnowAtLoadWithTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"\n\n{% include 'x' %}", "[chat template] line 3: unknown tag 'include'"},
      {"\n{{ x | wordwrap }}", "[chat template] line 2: unknown filter 'wordwrap'"},
      {"{% if no %}\n{{ x is escaped }}{% endif %}",
       "[chat template] line 2: unknown test 'escaped'"},
      {"a\nb\n{% if 0 %}{{ lipsum() }}{% endif %}",
       "[chat template] line 3: unknown function 'lipsum'"},
      {"{{ x.encode() }}", "[chat template] line 1: unknown method 'encode'"},
      {"{{ x | map('pprint') }}", "[chat template] line 1: unknown filter 'pprint' in map"},
      {"{{ x | selectattr('a', 'odder') }}",
       "[chat template] line 1: unknown test 'odder' in selectattr"},
      {"{% for x in y recursive %}{% endfor %}",
       "[chat template] line 1: recursive loops are not supported"},
      {"{{ x | tojson(depth=3) }}",
       "[chat template] line 1: filter 'tojson' takes no argument 'depth'"},
      {"{{ x | replace('a') }}",
       "[chat template] line 1: filter 'replace' misses its argument 'new'"},
      {"{% for x in y %}\n{% if x %}\n{% endfor %}",
       "[chat template] line 3: misplaced tag 'endfor'"},
      {"\n{% for x in y %}\n", "[chat template] line 2: 'endfor' is missing for the tag of line 2"},
  };
  for (const auto& [source, want] : cases) EXPECT_EQ(load_error(source), want) << source;
}

TEST(Jinja, CallsOfNamespaceAttributesAndDictMembersLoad) {
  EXPECT_EQ(render("{% macro m() %}x{% endmacro %}{% set ns = namespace(f=m) %}{{ ns.f() }}"), "x");
  EXPECT_EQ(render("{% macro m() %}x{% endmacro %}{{ {'g': m}.g() }}"), "x");
}

TEST(Jinja, ErrorsOfRenderingNameTheLine) {
  EXPECT_EQ(render_error("a\n\n{{ x.y }}"), "[chat template] line 3: 'x' is undefined");
  EXPECT_EQ(render_error("{{ d.x.y }}", {{"d", {{"a", 1}}}}),
            "[chat template] line 1: 'dict object' has no attribute 'x'");
  EXPECT_EQ(render_error("\n{{ 1 +\n 'a' }}"),
            "[chat template] line 2: unsupported operand type(s) for +: 'int' and 'str'");
  EXPECT_EQ(render_error("{{ 1 > 'a' }}"),
            "[chat template] line 1: '>' not supported between "
            "instances of 'int' and 'str'");
}

TEST(Jinja, RaiseExceptionSpeaksForItself) {
  EXPECT_EQ(render_error("\n\n{{ raise_exception('Only {} user turns!') }}"),
            "Only {} user turns!");
}

// ---- hostile templates ----

TEST(Jinja, StepsAreBounded) {
  const std::string loops =
      "{% for a in range(100000) %}{% for b in range(100000) %}"
      "{% endfor %}{% endfor %}";
  EXPECT_NE(render_error(loops, Json::object(), {.max_steps = 100'000}).find("100000 steps"),
            std::string::npos);
}

TEST(Jinja, RecursionIsBounded) {
  EXPECT_NE(render_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").find("nest deeper"),
            std::string::npos);
  EXPECT_EQ(render("{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}"
                   "{{ f(30) }}")
                .size(),
            52u);
}

TEST(Jinja, NestedSourceIsRefusedNotCrashedOn) {
  const std::pair<const char*, const char*> pairs[] = {
      {"(", ")"},   {"[", "]"},           {"{1:", "}"}, {"-", ""},
      {"not ", ""}, {"x if y else ", ""}, {"x[", "]"},  {"f(", ")"}};
  for (const auto& [open, close] : pairs) {
    const std::string source = "{{ " + repeat(open, 20'000) + "1" + repeat(close, 20'000) + " }}";
    EXPECT_NE(load_error(source).find("nested deeper"), std::string::npos)
        << open << ": " << load_error(source);
  }
  for (const char* link : {"+ x", "| e", ".a", " and x", "()", "[0]", "* x", "** x"}) {
    const std::string error = load_error("{{ namespace " + repeat(link, 20'000) + " }}");
    EXPECT_NE(error.find("levels"), std::string::npos) << link << ": " << error;
  }
  EXPECT_NE(load_error(repeat("{% if x %}", 20'000)).find("nested deeper"), std::string::npos);
  EXPECT_NE(load_error(repeat("{% for x in y %}", 20'000)).find("nested deeper"),
            std::string::npos);
}

TEST(Jinja, LongFlatSourcesAreFine) {
  EXPECT_EQ(render("{{ 'a'" + repeat(" ~ 'b'", 5000) + " }}").size(), 5001u);
  EXPECT_EQ(render("{{ [1" + repeat(", 1", 5000) + "] | length }}"), "5001");
  EXPECT_EQ(render("{% if 0 %}" + repeat("{% elif 0 %}", 5000) + "{% else %}x{% endif %}"), "x");
}

TEST(Jinja, StringsCannotGrowWithoutBound) {
  const std::string doubling =
      "{% set n = namespace(s='xxxxxxxxxxxxxxxx') %}"
      "{% for i in range(100) %}{% set n.s = n.s ~ n.s %}{% endfor %}";
  EXPECT_NE(render_error(doubling).find("outgrows"), std::string::npos);
  EXPECT_NE(render_error("{{ 'x' * 99999999999 }}").find("outgrows"), std::string::npos);
  EXPECT_NE(render_error("{{ [1] * 99999999999 }}").find("steps"), std::string::npos);
  EXPECT_NE(render_error("{{ 'x' | center(9999999999) }}").find("outgrows"), std::string::npos);
  EXPECT_NE(render_error("{{ 'x' | indent(99999999999, true) }}").find("outgrows"),
            std::string::npos);
  EXPECT_NE(render_error("{{ '%99999999d' % 1 }}").find("wider"), std::string::npos);
  EXPECT_NE(render_error("{{ ('x' * 1000000).replace('x', 'y' * 1000) }}").find("outgrows"),
            std::string::npos);
}

TEST(Jinja, SharedStructureCostsWhatItPrints) {
  const std::string dag =
      "{% set n = namespace(v=[1]) %}{% for i in range(150) %}"
      "{% set n.v = [n.v, n.v] %}{% endfor %}";
  for (const char* use :
       {"{{ n.v }}", "{{ n.v | tojson }}", "{{ n.v == n.v[0] }}", "{{ n.v | string | length }}"}) {
    const std::string error = render_error(dag + use, Json::object(), {.max_steps = 1'000'000});
    EXPECT_TRUE(error.find("steps") != std::string::npos ||
                error.find("outgrows") != std::string::npos || error.find("no error") == 0)
        << use << ": " << error;
  }
}

TEST(Jinja, ValuesCannotNestWithoutBound) {
  const std::string deep =
      "{% set n = namespace(v=1) %}{% for i in range(1000) %}"
      "{% set n.v = %}{% endfor %}";
  for (const char* wrap : {"[n.v]", "(n.v,)", "{'a': n.v}", "[n.v] | map('default')"}) {
    std::string source = deep;
    source.replace(source.find("= %}") + 2, 0, std::string(wrap) + " ");
    EXPECT_NE(render_error(source).find("nest deeper than 200"), std::string::npos) << wrap;
  }
  Json json = 1;
  for (int i = 0; i < 300; ++i) json = Json::array({json});
  EXPECT_NE(render_error("{{ x }}", {{"x", json}}).find("nest deeper than 200"), std::string::npos);
}

TEST(Jinja, CyclesThroughNamespacesAndMacrosEnd) {
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.self = n %}{{ n.self.self is defined }}"),
            "True");
  EXPECT_NE(
      render_error("{% set n = namespace() %}{% set n.self = n %}{{ n }}").find("holds itself"),
      std::string::npos);
  EXPECT_EQ(render("{% macro f() %}{% endmacro %}{% set n = namespace(f=f) %}{{ n.f() }}"), "");
  // A chain as long as the loop: freeing it must not recurse.
  EXPECT_EQ(render("{% set n = namespace(p=none) %}{% for i in range(50000) %}"
                   "{% set n.p = namespace(p=n.p) %}{% endfor %}ok"),
            "ok");
}

TEST(Jinja, BadStringsOfTheRequestAreRefused) {
  EXPECT_NE(render_error("{{ x }}", {{"x", "\xff\xfe"}}).find("UTF-8"), std::string::npos);
}

TEST(Jinja, OneTemplateRendersOnManyThreads) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{% macro m(x) %}<{{ x }}>{% endmacro %}{% for i in range(200) %}{{ m(i) }}{% endfor %}");
  const std::string want = chat.render(Json::array(), nullptr, {});
  std::vector<std::string> got(4);
  std::vector<std::thread> threads;
  for (std::string& text : got) {
    threads.emplace_back([&] { text = chat.render(Json::array(), nullptr, {}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : got) EXPECT_EQ(text, want);
}

}  // namespace
}  // namespace moge::text
