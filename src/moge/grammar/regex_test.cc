// Regular expressions and GBNF: which texts match, and what is refused.
#include <gtest/gtest.h>

#include "moge/grammar/regex.h"
#include "moge/grammar/test_vocabulary.h"

namespace moge::grammar {
namespace {

struct Case {
  const char* regex;
  std::vector<std::string> in, out;
};

TEST(Regex, MatchesWholeTexts) {
  const Case cases[] = {
      {"abc", {"abc"}, {"", "ab", "abcd"}},
      {"^abc$", {"abc"}, {"ab", "xabc"}},
      {"a|bc|", {"a", "bc", ""}, {"b", "abc"}},
      {"[a-c]+\\d{2,3}", {"a12", "cab123"}, {"12", "a1", "a1234", "d12"}},
      {"(ab)*c?", {"", "ababc", "c"}, {"aba", "cc"}},
      {"(?:x|(?P<n>y))z", {"xz", "yz"}, {"z"}},
      {"[^a-z]", {"A", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80", "\n"}, {"a", "\xC3", "AB"}},
      {".", {"a", "\xC3\xA9"}, {"\n", "", "\xE9"}},
      {"[\\u00e9-\\u4e2d]",
       {"\xC3\xA9", "\xE4\xB8\xAD", "\xDF\xBF", "\xE0\xA0\x80"},
       {"\xC3\xA8", "\xE4\xB8\xAE", "e"}},
      {"\\x41\\t\\.", {"A\t."}, {"A.", "At."}},
      {"a{0}b", {"b"}, {"ab"}},
      {"a{2}{2}", {"aaaa"}, {"aa"}},
      {"x{,3}", {"x{,3}"}, {"xx"}},
      {"\\w+@\\w+\\.com\\n", {"a@b.com\n"}, {"a@b.com"}},
  };
  for (const Case& c : cases) {
    const auto compiled = compile(regex(c.regex));
    for (const std::string& text : c.in)
      EXPECT_TRUE(matches(*compiled, text)) << c.regex << ' ' << text;
    for (const std::string& text : c.out)
      EXPECT_FALSE(matches(*compiled, text)) << c.regex << ' ' << text;
  }
}

TEST(Regex, RefusesWhatNoAutomatonCanTell) {
  const std::pair<const char*, const char*> cases[] = {
      {"(a", "does not close a group"},
      {"a)", "closes a group that is not open"},
      {"*a", "repeats nothing"},
      {"(?=a)b", "look-around"},
      {"(?<!a)b", "look-around"},
      {"(a)\\1", "back reference"},
      {"\\bword", "\\b"},
      {"\\p{L}", "\\p"},
      {"a{3,2}", "m above n"},
      {"a{99999}", "16384"},
      {"[a", "does not close a ["},
      {"[z-a]", "ends before it begins"},
      {"a^b", "not at an end"},
      {"a$b", "not at an end"},
      {"[[:alpha:]]", "[:class:]"},
      {"(?i)a", "not supported"},
      {"a++", "possessive"},
      {"\xFF", "not UTF-8"},
      {"[^\\x00-\\u{10FFFF}]", "no text at all"},
      {"(a|b)*a(a|b){30}", "too large"},
      {"((a{1000}){1000}){1000}", "too large"},
      {"(a?){16000}", "too large"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_NE(message_of([&, t = text] { compile(regex(t)); }).find(message), std::string::npos)
        << text << ": " << message_of([&, t = text] { compile(regex(t)); });
  const std::string deep(5000, '(');
  EXPECT_NE(message_of([&] { compile(regex(deep)); }), "");
}

TEST(Choice, IsOneOfTheTexts) {
  const auto compiled =
      compile({.kind = OutputFormat::Kind::kChoice, .choices = {"yes", "no", "yes, sir"}});
  for (const char* text : {"yes", "no", "yes, sir"}) EXPECT_TRUE(matches(*compiled, text)) << text;
  for (const char* text : {"", "ye", "yes,", "maybe"})
    EXPECT_FALSE(matches(*compiled, text)) << text;
  EXPECT_NE(message_of([] { compile({.kind = OutputFormat::Kind::kChoice}); }), "");
}

TEST(Gbnf, ReadsGrammarsAsLlamaCppDoes) {
  const auto arithmetic = compile(gbnf(R"x(
# sums of products
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]{1,3} ws
ws    ::= [ \t\n]*
)x"));
  for (const char* text : {"x=1\n", "a +(b*2) -c = 10\n", "x=1\ny=2\n"})
    EXPECT_TRUE(matches(*arithmetic, text)) << text;
  for (const char* text : {"", "x=1", "1+=2\n", "(x=1\n", "x=1234\n"})
    EXPECT_FALSE(matches(*arithmetic, text)) << text;

  const auto list =
      compile(gbnf("root ::= item | item\n\nitem ::= \"- \" [^\\r\\n\\x0b\\u0085]+ \"\\n\" root?"));
  EXPECT_TRUE(matches(*list, "- a\n- \xC3\xA9\n"));
  EXPECT_FALSE(matches(*list, "- \n"));

  const auto japanese = compile(gbnf("root ::= [\\u3041-\\u3096\xE3\x82\xA1-\xE3\x83\xB6]{2,} ."));
  EXPECT_TRUE(matches(*japanese, "\xE3\x81\x82\xE3\x82\xA2!"));
  EXPECT_FALSE(matches(*japanese, "\xE3\x81\x82!"));

  const auto nested = compile(gbnf("root ::= \"(\" root \")\" | \"x\""));
  EXPECT_TRUE(matches(*nested, "(((x)))"));
  EXPECT_FALSE(matches(*nested, "(((x))"));
  EXPECT_TRUE(matches(*nested, std::string(200, '(') + "x" + std::string(200, ')')));
  EXPECT_FALSE(matches(*nested, std::string(300, '(') + "x" + std::string(300, ')')));
}

TEST(Gbnf, RefusesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no rule named root"},
      {"root ::= other", "the rule other"},
      {"root ::= \"a", "does not close"},
      {"root ::= [a", "does not close"},
      {"root ::= (\"a\"", "does not close a ("},
      {"root = \"a\"", "lacks ::="},
      {"root ::= \"a\" }", "unexpected"},
      {"root ::= \"a\"\nroot ::= \"b\"", "twice"},
      {"root ::= root \"a\" | \"b\"", "root calls itself"},
      {"root ::= a\na ::= b? a \"x\" | \"y\"\nb ::= \"z\"", "a calls itself"},
      {"root ::= \"a\" root", "no text at all"},
      {"root ::= \"\\q\"", "unknown escape"},
      {"root ::= \"\\ud800\"", "surrogate"},
      {"root ::= \"a\"{2,1}", "m above n"},
      {"root ::= \"a\"{99999}", "16384"},
      {"root ::= <[1000]>", "refers to a token"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_NE(message_of([&, t = text] { compile(gbnf(t)); }).find(message), std::string::npos)
        << text << ": " << message_of([&, t = text] { compile(gbnf(t)); });
  std::string deep = "root ::= ";
  deep += std::string(100000, '(');
  EXPECT_NE(message_of([&] { compile(gbnf(deep)); }).find("deeper"), std::string::npos);
}

TEST(Dfa, DifferencesAndCommonTexts) {
  Budget budget;
  Grammar g;
  const Dfa words = to_dfa(g, add_regex(g, "[a-z]{1,3}", {}), budget);
  const Dfa ends_in_b = to_dfa(g, add_regex(g, ".*b", {}), budget);
  const Dfa both = intersect(words, ends_in_b, budget), rest = subtract(words, ends_in_b, budget);
  for (const char* text : {"b", "ab", "xyb"}) {
    EXPECT_TRUE(both.matches(text) && !rest.matches(text)) << text;
  }
  for (const char* text : {"a", "ba", "bbc"}) {
    EXPECT_TRUE(!both.matches(text) && rest.matches(text)) << text;
  }
  EXPECT_FALSE(both.matches("abcb") || rest.matches("") || both.matches("1b"));
  EXPECT_TRUE(is_empty(subtract(both, words, budget)));
}

}  // namespace
}  // namespace moge::grammar
