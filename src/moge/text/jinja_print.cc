// How Python prints values: str() at the top, repr() inside containers.
#include <charconv>
#include <cmath>

#include "moge/text/jinja_text.h"
#include "moge/text/jinja_value.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

void append_hex(std::string& out, char32_t c, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out += "0123456789abcdef"[(c >> shift) & 15];
  }
}

void append_char_repr(std::string& out, char32_t c, char quote) {
  if (c == static_cast<char32_t>(quote) || c == '\\') {
    out += '\\';
    out += static_cast<char>(c);
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\r') {
    out += "\\r";
  } else if (c == '\t') {
    out += "\\t";
  } else if (is_printable(c)) {
    append_utf8(out, c);
  } else {
    out += c < 0x100 ? "\\x" : c < 0x10000 ? "\\u" : "\\U";
    append_hex(out, c, c < 0x100 ? 2 : c < 0x10000 ? 4 : 8);
  }
}

/// Writes values into one string, charging as it grows.
class Printer {
 public:
  Printer(Budget& budget, std::string& out) : budget_(budget), out_(out) {}

  void repr(const Value& value) {
    budget_.step();
    budget_.check_string(static_cast<int64_t>(out_.size()));
    if (++depth_ > 2 * kMaxNesting) budget_.fail("a value that holds itself cannot be printed");
    write(value);
    --depth_;
  }

 private:
  void write(const Value& value) {
    switch (value.kind()) {
      case Kind::kUndefined:
        out_ += "Undefined";
        break;
      case Kind::kNone:
        out_ += "None";
        break;
      case Kind::kBool:
        out_ += value.boolean() ? "True" : "False";
        break;
      case Kind::kInt:
        out_ += int_repr(value.integer());
        break;
      case Kind::kFloat:
        out_ += float_repr(value.real());
        break;
      case Kind::kString:
        string(value.str());
        break;
      case Kind::kSeq:
        seq(value.seq());
        break;
      case Kind::kDict:
        dict(value.dict());
        break;
      case Kind::kNamespace:
        space(value.ns());
        break;
      case Kind::kLoop:
        loop(value.loop());
        break;
      case Kind::kCallable:
        out_ += value.callable()->describe();
        break;
    }
  }

  void string(const std::string& text) {
    budget_.step(static_cast<int64_t>(text.size() / 64));
    out_ += string_repr(text);
  }

  void list(const Values& items, std::string_view open, std::string_view close) {
    out_ += open;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out_ += ", ";
      repr(items[i]);
    }
    out_ += close;
  }

  void seq(const Seq& seq) {
    switch (seq.kind) {
      case SeqKind::kList:
        return list(seq.items, "[", "]");
      case SeqKind::kTuple:
        return list(seq.items, "(", seq.items.size() == 1 ? ",)" : ")");
      case SeqKind::kKeys:
        return list(seq.items, "dict_keys([", "])");
      case SeqKind::kValues:
        return list(seq.items, "dict_values([", "])");
      case SeqKind::kItems:
        return list(seq.items, "dict_items([", "])");
      case SeqKind::kRange:
        out_ += seq.range;
        return;
      case SeqKind::kGenerator:
        out_ += "<generator object>";
        return;
    }
  }

  void dict(const Dict& dict) {
    out_ += '{';
    bool first = true;
    for (const auto& [key, value] : dict.items) {
      if (!first) out_ += ", ";
      first = false;
      repr(key);
      out_ += ": ";
      repr(value);
    }
    out_ += '}';
  }

  void space(const Namespace& space) {
    out_ += "<Namespace {";
    bool first = true;
    for (const auto& [key, value] : space.attributes) {
      if (!first) out_ += ", ";
      first = false;
      out_ += string_repr(key) + ": ";
      repr(value);
    }
    out_ += "}>";
  }

  void loop(const Loop& loop) {
    out_ += "<LoopContext " + std::to_string(loop.index + 1) + "/" +
            std::to_string(loop.items->size()) + ">";
  }

  Budget& budget_;
  std::string& out_;
  int depth_ = 0;
};

}  // namespace

std::string int_repr(Int value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  unsigned __int128 rest = negative ? -static_cast<unsigned __int128>(value) : value;
  std::string digits;
  for (; rest > 0; rest /= 10) digits.insert(digits.begin(), static_cast<char>('0' + rest % 10));
  return negative ? "-" + digits : digits;
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  // The shortest digits that read back the same; Python writes an exponent from 1e16 on.
  const double magnitude = std::fabs(value);
  const bool plain = value == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
  std::string text(buffer, end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string string_repr(std::string_view text) {
  const bool doubled =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = doubled ? '"' : '\'';
  std::string out(1, quote);
  while (!text.empty()) {
    const CodePoint c = decode_utf8(text);
    append_char_repr(out, c.value, quote);
    text.remove_prefix(c.size);
  }
  return out + quote;
}

std::string repr(Budget& budget, const Value& value) {
  std::string out;
  Printer(budget, out).repr(value);
  budget.charge(static_cast<int64_t>(out.size()));
  return out;
}

std::string to_str(Budget& budget, const Value& value) {
  if (value.is_string()) return value.str();
  if (value.is_undefined()) return {};
  return repr(budget, value);
}

}  // namespace moge::text::jinja
