// What a request can ask of its output's form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moge/grammar/grammar.h"
#include "moge/grammar/tool_calls.h"

namespace moge::grammar {

struct OutputFormat {
  enum class Kind : uint8_t { kJsonObject, kJsonSchema, kRegex, kChoice, kGbnf, kToolCalls };
  /// Free text in front of what the format is about: a model's reasoning.
  struct Preamble {
    std::string begin, end;  ///< markers; no end: there is no preamble
    bool open = false;       ///< it has begun already; otherwise it may be left out
    bool operator==(const Preamble&) const = default;
  };
  Kind kind = Kind::kJsonObject;
  std::string text;                  ///< schema, regular expression or grammar
  std::vector<std::string> choices;  ///< kChoice
  ToolCalls calls;                   ///< kToolCalls, may_call
  bool may_call = false;             ///< calls may come in place of what `kind` says
  Preamble preamble;

  bool has_calls() const { return kind == Kind::kToolCalls || may_call; }
  /// JSON or calls, of which half is of no use: nothing but its end may end it.
  bool is_whole() const {
    return kind == Kind::kJsonObject || kind == Kind::kJsonSchema || has_calls();
  }
  bool operator==(const OutputFormat&) const = default;
};

/// Throws Error that says what is wrong with it, naming the keyword of a schema.
Grammar to_grammar(const OutputFormat& format, Budget& budget);

}  // namespace moge::grammar
