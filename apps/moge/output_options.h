// Options that hold the output to a form, with llama.cpp's names.
#pragma once

#include <memory>
#include <string>

#include "model_session.h"
#include "moge/core/fields.h"
#include "moge/text/token_constraint.h"

namespace moge {

struct OutputOptions {
  std::string json_schema, grammar, regex;

  void visit(FieldList& v) {
    v("json-schema", json_schema, "the output is JSON that fits this schema")
        .called("FILE|TEXT")
        .also("json-schema-file");
    v("grammar", grammar, "the output follows this GBNF grammar")
        .called("FILE|TEXT")
        .also("grammar-file");
    v("regex", regex, "the output matches this regular expression").called("TEXT");
  }

  /// Null where nothing is asked for. Throws UsageError where more than one is, Error where it is
  /// wrong.
  std::shared_ptr<TokenConstraint> constraint(const ModelSession& session) const;
};

}  // namespace moge
