#include "moge/text/jinja_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

using Json = nlohmann::ordered_json;

Value convert(Budget& budget, const Json& json, int depth) {
  budget.step();
  if (depth > kMaxNesting) budget.fail("values nest deeper than {} levels", kMaxNesting);
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<int64_t>();
    case Json::value_t::number_unsigned:
      return json.get<uint64_t>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (!is_valid_utf8(text)) budget.fail("a string of the request is not UTF-8");
      return make_string(budget, text);
    }
    case Json::value_t::array: {
      Values items;
      for (const Json& item : json) items.push_back(convert(budget, item, depth + 1));
      return make_list(budget, std::move(items));
    }
    case Json::value_t::object: {
      Dict dict;
      for (const auto& [key, item] : json.items()) {
        if (!is_valid_utf8(key)) budget.fail("a key of the request is not UTF-8");
        dict.set(budget, make_string(budget, key), convert(budget, item, depth + 1));
      }
      return make_dict(budget, std::move(dict));
    }
    default:
      return None{};
  }
}

class Writer {
 public:
  Writer(Budget& budget, const JsonStyle& style) : budget_(budget), style_(style) {}

  void write(const Value& value) {
    budget_.step();
    budget_.check_string(static_cast<int64_t>(out_.size()));
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "null";
        return;
      case Kind::kBool:
        out_ += value.boolean() ? "true" : "false";
        return;
      case Kind::kInt:
        out_ += int_repr(value.integer());
        return;
      case Kind::kFloat:
        out_ += number(value.real());
        return;
      case Kind::kString:
        string(value.str());
        return;
      case Kind::kDict:
        dict(value.dict());
        return;
      case Kind::kSeq:
        if (value.seq().kind <= SeqKind::kTuple) return list(value.seq().items);
        break;
      default:
        break;
    }
    budget_.fail("Object of type " + std::string(type_name(value)) + " is not JSON serializable");
  }

  std::string take() { return std::move(out_); }

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  void unit(char32_t u) {
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out_ += "0123456789abcdef"[(u >> shift) & 15];
  }

  void escaped(char32_t c) {
    static constexpr std::string_view kFrom = "\"\\\b\f\n\r\t", kTo = "\"\\bfnrt";
    const size_t known = c < 0x80 ? kFrom.find(static_cast<char>(c)) : std::string_view::npos;
    if (known != std::string_view::npos) {
      out_ += '\\';
      out_ += kTo[known];
    } else if (c < 0x20 || (style_.ensure_ascii && c > 0x7E && c < 0x10000)) {
      unit(c);
    } else if (style_.ensure_ascii && c >= 0x10000) {
      unit(0xD800 + ((c - 0x10000) >> 10));
      unit(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      append_utf8(out_, c);
    }
  }

  void string(std::string_view text) {
    budget_.step(static_cast<int64_t>(text.size() / 64));
    out_ += '"';
    while (!text.empty()) {
      const CodePoint c = decode_utf8(text);
      escaped(c.value);
      text.remove_prefix(c.size);
    }
    out_ += '"';
  }

  void new_line() {
    if (!style_.indent) return;
    out_ += '\n';
    for (int i = 0; i < level_; ++i) out_ += *style_.indent;
  }

  template <class Items, class Write>
  void items(char open, char close, const Items& items, Write write_one) {
    out_ += open;
    ++level_;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line();
      write_one(item);
    }
    --level_;
    if (!first) new_line();
    out_ += close;
  }

  void list(const Values& values) {
    items('[', ']', values, [this](const Value& value) { write(value); });
  }

  void key(const Value& value) {
    if (value.is_string()) return string(value.str());
    const bool scalar = value.is_number() || value.is_none();
    if (!scalar) {
      budget_.fail("keys must be str, int, float, bool or None, not " +
                   std::string(type_name(value)));
    }
    out_ += '"';
    write(value);
    out_ += '"';
  }

  void dict(const Dict& dict) {
    const auto write_one = [this](const std::pair<Value, Value>& item) {
      key(item.first);
      out_ += style_.key_separator;
      write(item.second);
    };
    if (!style_.sort_keys) return items('{', '}', dict.items, write_one);
    auto sorted = dict.items;
    std::stable_sort(sorted.begin(), sorted.end(), [this](const auto& a, const auto& b) {
      return less(budget_, a.first, b.first);
    });
    items('{', '}', sorted, write_one);
  }

  Budget& budget_;
  const JsonStyle& style_;
  std::string out_;
  int level_ = 0;
};

}  // namespace

Value value_from_json(Budget& budget, const Json& json) { return convert(budget, json, 1); }

std::string to_json(Budget& budget, const Value& value, const JsonStyle& style) {
  Writer writer(budget, style);
  writer.write(value);
  return writer.take();
}

}  // namespace moge::text::jinja
