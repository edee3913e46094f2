// What a set of schemas that must all hold asks of a value, gathered from their keywords.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "moge/grammar/dfa.h"
#include "moge/grammar/grammar.h"
#include "moge/grammar/number.h"

namespace moge::grammar {

using Json = nlohmann::ordered_json;

enum TypeBit : uint8_t {
  kObject = 1,
  kArray = 2,
  kString = 4,
  kNumber = 8,  ///< with a fraction or without
  kInteger = 16,
  kBoolean = 32,
  kNull = 64,
  kAnyType = 127,
};

/// A schema of the document; of its anyOf and oneOf an alternative may have been chosen already.
struct Part {
  const Json* schema = nullptr;
  bool any_of_chosen = false, one_of_chosen = false;
  auto operator<=>(const Part&) const = default;
};
using Parts = std::vector<Part>;  ///< all must hold

/// The document, and the errors that say where in it.
class SchemaDocument {
 public:
  explicit SchemaDocument(std::string_view text);
  ~SchemaDocument();
  const Json& root() const { return *root_; }
  /// The schemas that these amount to, with what $ref and allOf bring in, without those that ask
  /// nothing; checks that every keyword is known. Nothing: no value fits.
  std::optional<Parts> expand(const std::vector<const Json*>& schemas) const;

  [[noreturn]] void refuse(const Json& schema, const std::string& why) const;
  int64_t count(const Json& schema, const char* key) const;  ///< a size; refuses others
  std::string path_of(const Json& schema) const;             ///< as a JSON pointer

 private:
  struct Expansion;
  struct Origin {
    const Json* parent = nullptr;
    std::string key;
  };
  void note_origins(const Json& of);
  void expand_into(const Json& schema, Expansion& to) const;
  void check_keywords(const Json& schema) const;
  const Json& target_of(const Json& schema) const;

  std::unique_ptr<const Json> root_;
  std::unordered_map<const Json*, Origin> origins_;
};

struct Facts {
  uint8_t types = kAnyType;
  std::vector<std::vector<const Json*>> value_sets;  ///< of each enum and const
  NumberBounds bounds;
  bool has_bounds = false;
  int64_t min_length = 0, max_length = -1;  ///< -1: no bound
  std::vector<std::string> patterns;        ///< regular expressions; formats first
  int64_t min_items = 0, max_items = -1;
  int64_t min_properties = 0, max_properties = -1;
  std::vector<std::string> required;
  bool shapes_objects = false, shapes_arrays = false;  ///< has keywords of theirs

  bool is_required(const std::string& name) const;
};

/// Of expanded parts.
Facts gather(const SchemaDocument& document, const Parts& parts);

/// The expression of a known `format`, or empty.
std::string format_pattern(const std::string& format);

}  // namespace moge::grammar
