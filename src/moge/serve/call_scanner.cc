#include "moge/serve/call_scanner.h"

#include <cctype>
#include <nlohmann/json.hpp>

#include "moge/serve/output_part.h"

namespace moge::serve {

namespace {

std::optional<std::string> unquoted(std::string_view text) {
  const auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_string()) return {};
  return value.get<std::string>();
}

bool may_stand_alone(char c) {  // numbers, true, false, null, white space
  return std::isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '-' || c == '.' ||
         kWhiteSpace.find(c) != std::string_view::npos;
}

}  // namespace

void CallScanner::push(char c) {
  raw_ += c;
  if (!in_string_) {
    push_outside_string(c);
    if (broken_) raw_.pop_back();
    return;
  }
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = false;
    if (open_.size() == 1 && value_begin_ == kNone)
      key_ = unquoted(std::string_view(raw_).substr(string_begin_)).value_or("");
  }
}

void CallScanner::push_outside_string(char c) {
  const bool at_top = open_.size() == 1;
  if (c == '"') {
    in_string_ = true;
    string_begin_ = raw_.size() - 1;
  } else if (c == '{' || c == '[') {
    open_ += c;
  } else if (c == '}' || c == ']') {
    close(c);
  } else if (c == ':') {
    if (at_top) begin_value();
  } else if (c == ',') {
    if (at_top) end_value();
  } else {
    broken_ = !may_stand_alone(c);
  }
}

void CallScanner::close(char c) {
  broken_ = open_.empty() || open_.back() != (c == '}' ? '{' : '[');
  if (broken_) return;
  if (open_.size() == 1) end_value();
  open_.pop_back();
  ended_ = open_.empty();
}

void CallScanner::begin_value() {
  value_begin_ = raw_.size();
  if (key_ == "arguments" || key_ == "parameters") arguments_begin_ = value_begin_;
}

void CallScanner::end_value() {
  if (value_begin_ == kNone) return;
  const size_t end = raw_.size() - 1;
  if (key_ == "name")
    name_ = unquoted(std::string_view(raw_).substr(value_begin_, end - value_begin_));
  if (arguments_begin_ == value_begin_) arguments_end_ = end;
  value_begin_ = kNone;
}

std::optional<std::string> CallScanner::take_name() {
  if (!name_ || name_taken_) return {};
  name_taken_ = true;
  return name_;
}

std::string_view CallScanner::known_arguments() const {
  if (arguments_begin_ == kNone) return ended_ ? "{}" : "";
  std::string_view text = raw_;
  if (arguments_end_ != kNone) text = text.substr(0, arguments_end_);
  const size_t begin = text.find_first_not_of(kWhiteSpace, arguments_begin_);
  return begin == kNone ? "" : text.substr(begin);
}

std::string CallScanner::take_arguments() {
  if (!name_) return {};
  // White space at the end may stand before the brace that closes the call.
  const std::string_view known = without_trailing_space(known_arguments());
  if (known.starts_with('"')) {
    if (arguments_end_ == kNone || unpacked_) return {};
    unpacked_ = true;
    return unquoted(known).value_or("");
  }
  const std::string added(known.substr(taken_));
  taken_ = known.size();
  return added;
}

}  // namespace moge::serve
