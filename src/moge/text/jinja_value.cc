#include "moge/text/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "moge/text/jinja_text.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

constexpr double kIntLimit = 0x1p126;  // doubles below it convert to Int exactly

/// integer < real, exactly.
bool int_below(Int i, double d) {
  if (std::isnan(d)) return false;
  if (std::fabs(d) >= kIntLimit) return d > 0;
  return i < static_cast<Int>(std::ceil(d));
}
bool int_above(Int i, double d) {
  if (std::isnan(d)) return false;
  if (std::fabs(d) >= kIntLimit) return d < 0;
  return i > static_cast<Int>(std::floor(d));
}

bool numbers_equal(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
  if (a.is(Kind::kFloat) && b.is(Kind::kFloat)) return a.real() == b.real();
  const Int i = a.is_integer() ? a.integer() : b.integer();
  const double d = a.is_integer() ? b.real() : a.real();
  return std::fabs(d) < kIntLimit && d == std::floor(d) && static_cast<Int>(d) == i;
}

bool number_less(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() < b.integer();
  if (a.is_integer()) return int_below(a.integer(), b.real());
  if (b.is_integer()) return int_above(b.integer(), a.real());
  return a.real() < b.real();
}

bool seqs_equal(Budget& budget, const Seq& a, const Seq& b) {
  if (&a == &b) return true;
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  if (a.kind == SeqKind::kGenerator || a.kind == SeqKind::kValues) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equals(budget, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool dicts_equal(Budget& budget, const Dict& a, const Dict& b) {
  if (&a == &b) return true;
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    const Value* other = b.find(budget, key);
    if (!other || !equals(budget, value, *other)) return false;
  }
  return true;
}

bool seq_less(Budget& budget, const Seq& a, const Seq& b, std::string_view op) {
  const size_t common = std::min(a.items.size(), b.items.size());
  for (size_t i = 0; i < common; ++i) {
    if (!equals(budget, a.items[i], b.items[i])) return less(budget, a.items[i], b.items[i], op);
  }
  return a.items.size() < b.items.size();
}

Values characters(Budget& budget, std::string_view text) {
  budget.step(static_cast<int64_t>(text.size()));
  Values out;
  while (!text.empty()) {
    const int size = utf8_length(text[0]);
    budget.charge(size + 32);
    out.push_back(Value::text(std::string(text.substr(0, size))));
    text.remove_prefix(size);
  }
  return out;
}

void check_nesting(Budget& budget, int nesting) {
  if (nesting > kMaxNesting) budget.fail("values nest deeper than {} levels", kMaxNesting);
}

}  // namespace

double Value::real() const {
  return is(Kind::kFloat) ? std::get<double>(data_) : static_cast<double>(integer());
}

const std::string& Value::why() const {
  static const std::string kMissing = "a missing value is undefined";
  const auto& why = std::get<Undefined>(data_).why;
  return why ? *why : kMissing;
}

const void* Value::identity() const {
  return std::visit(
      [](const auto& v) -> const void* {
        if constexpr (requires { v.get(); }) {
          return v.get();
        } else {
          return nullptr;
        }
      },
      data_);
}

const Value* Dict::find(std::string_view key) const {
  const auto found = by_name_.find(key);
  return found == by_name_.end() ? nullptr : &items[found->second].second;
}

size_t Dict::position(Budget& budget, const Value& key) const {
  if (key.is_string()) {
    const auto found = by_name_.find(key.str());
    return found == by_name_.end() ? items.size() : found->second;
  }
  check_hashable(budget, key);
  size_t i = 0;
  while (i < items.size() && (items[i].first.is_string() || !equals(budget, items[i].first, key))) {
    ++i;
  }
  budget.step(static_cast<int64_t>(i));
  return i;
}

const Value* Dict::find(Budget& budget, const Value& key) const {
  const size_t at = position(budget, key);
  return at == items.size() ? nullptr : &items[at].second;
}

void Dict::set(Budget& budget, Value key, Value value) {
  const size_t at = position(budget, key);
  nesting = std::max({nesting, 1 + nesting_of(value), 1 + nesting_of(key)});
  if (at < items.size()) {
    items[at].second = std::move(value);
    return;
  }
  items.emplace_back(std::move(key), std::move(value));
  const Value& stored = items.back().first;
  if (stored.is_string()) by_name_.emplace(stored.str(), at);
}

const Value* Namespace::find(std::string_view name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::set(std::string_view name, Value value) {
  for (auto& [key, old] : attributes) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  attributes.emplace_back(std::string(name), std::move(value));
}

int nesting_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kSeq:
      return value.seq().nesting;
    case Kind::kDict:
      return value.dict().nesting;
    case Kind::kLoop:
      return value.loop().nesting;
    case Kind::kCallable:
      return value.callable()->nesting();
    default:
      return 0;
  }
}

Value make_string(Budget& budget, std::string text) {
  budget.charge(static_cast<int64_t>(text.size()) + 32);
  return Value::text(std::move(text));
}

Value make_seq(Budget& budget, SeqKind kind, Values items) {
  budget.charge(static_cast<int64_t>(items.size() * sizeof(Value) + sizeof(Seq)));
  auto seq = std::make_shared<Seq>();
  seq->kind = kind;
  for (const Value& item : items) seq->nesting = std::max(seq->nesting, 1 + nesting_of(item));
  check_nesting(budget, seq->nesting);
  seq->items = std::move(items);
  return std::shared_ptr<const Seq>(std::move(seq));
}

Value make_dict(Budget& budget, Dict dict) {
  budget.charge(static_cast<int64_t>(dict.items.size() * 2 * sizeof(Value) + sizeof(Dict)));
  check_nesting(budget, dict.nesting);
  return std::shared_ptr<const Dict>(std::make_shared<Dict>(std::move(dict)));
}

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kString:
      return !value.str().empty();
    case Kind::kSeq:
      return !value.seq().has_length() || !value.seq().items.empty();
    case Kind::kDict:
      return !value.dict().items.empty();
    default:
      return true;
  }
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCallable:
      return "function";
    case Kind::kSeq:
      break;
  }
  switch (value.seq().kind) {
    case SeqKind::kList:
      return "list";
    case SeqKind::kTuple:
      return "tuple";
    case SeqKind::kGenerator:
      return "generator";
    case SeqKind::kKeys:
      return "dict_keys";
    case SeqKind::kValues:
      return "dict_values";
    case SeqKind::kItems:
      return "dict_items";
    case SeqKind::kRange:
      return "range";
  }
  return "object";
}

bool equals(Budget& budget, const Value& a, const Value& b) {
  budget.step();
  if (a.is_number() && b.is_number()) return numbers_equal(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      budget.step(static_cast<int64_t>(a.str().size() / 256));
      return a.str() == b.str();
    case Kind::kSeq:
      return seqs_equal(budget, a.seq(), b.seq());
    case Kind::kDict:
      return dicts_equal(budget, a.dict(), b.dict());
    default:
      return a.identity() == b.identity();
  }
}

bool less(Budget& budget, const Value& a, const Value& b, std::string_view op) {
  budget.step();
  if (a.is_number() && b.is_number()) return number_less(a, b);
  if (a.is_undefined()) budget.fail(a.why());
  if (b.is_undefined()) budget.fail(b.why());
  if (a.is_string() && b.is_string()) {  // order of UTF-8 bytes is order of code points
    budget.step(static_cast<int64_t>(a.str().size() / 256));
    return a.str() < b.str();
  }
  const bool ordered = a.is(Kind::kSeq) && b.is(Kind::kSeq) && a.seq().kind == b.seq().kind &&
                       a.seq().kind <= SeqKind::kTuple;
  if (!ordered) {  // a > b and a <= b come here with their sides swapped
    const bool swapped = op == ">" || op == "<=";
    budget.fail("'" + std::string(op) + "' not supported between instances of '" +
                std::string(type_name(swapped ? b : a)) + "' and '" +
                std::string(type_name(swapped ? a : b)) + "'");
  }
  return seq_less(budget, a.seq(), b.seq(), op);
}

void check_hashable(Budget& budget, const Value& key) {
  const bool bad = key.is(Kind::kDict) || (key.is(Kind::kSeq) && key.seq().kind == SeqKind::kList);
  if (bad) budget.fail("unhashable type: '" + std::string(type_name(key)) + "'");
  if (key.is(Kind::kSeq)) {
    budget.step(static_cast<int64_t>(key.seq().items.size()));
    for (const Value& item : key.seq().items) check_hashable(budget, item);
  }
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.is_string() || value.is(Kind::kSeq) ||
         value.is(Kind::kDict) || value.is(Kind::kLoop);
}

Values iterate(Budget& budget, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return {};
    case Kind::kString:
      return characters(budget, value.str());
    case Kind::kDict: {
      Values keys;
      for (const auto& [key, item] : value.dict().items) keys.push_back(key);
      budget.charge(static_cast<int64_t>(keys.size() * sizeof(Value)));
      budget.step(static_cast<int64_t>(keys.size()));
      return keys;
    }
    case Kind::kSeq: {
      const Seq& seq = value.seq();
      Values rest(seq.items.begin() + static_cast<int64_t>(seq.consumed), seq.items.end());
      if (seq.kind == SeqKind::kGenerator) seq.consumed = seq.items.size();
      budget.charge(static_cast<int64_t>(rest.size() * sizeof(Value)));
      budget.step(static_cast<int64_t>(rest.size()));
      return rest;
    }
    default:
      budget.fail("'" + std::string(type_name(value)) + "' object is not iterable");
  }
}

std::optional<int64_t> length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return count_code_points(value.str());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().items.size());
    case Kind::kLoop:
      return static_cast<int64_t>(value.loop().items->size());
    case Kind::kSeq:
      if (!value.seq().has_length()) return std::nullopt;
      return static_cast<int64_t>(value.seq().items.size());
    default:
      return std::nullopt;
  }
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  if (container.is(Kind::kDict)) return container.dict().find(budget, item) != nullptr;
  if (container.is_string()) {
    if (!item.is_string()) {
      budget.fail("'in <string>' requires string as left operand, not " +
                  std::string(type_name(item)));
    }
    budget.step(static_cast<int64_t>(container.str().size() / 64));
    return container.str().find(item.str()) != std::string::npos;
  }
  if (!is_iterable(container)) {
    budget.fail("argument of type '" + std::string(type_name(container)) + "' is not iterable");
  }
  if (container.is(Kind::kSeq) && container.seq().kind != SeqKind::kGenerator) {
    for (const Value& other : container.seq().items) {
      if (equals(budget, other, item)) return true;
    }
    return false;
  }
  for (const Value& other : iterate(budget, container)) {
    if (equals(budget, other, item)) return true;
  }
  return false;
}

}  // namespace moge::text::jinja
