// Reads one {"name": ..., "arguments": {...}} while a model writes it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moge::serve {

class CallScanner {
 public:
  /// The object's next character, from '{' on. Not after ended() or broken().
  void push(char c);
  bool ended() const { return ended_; }
  bool broken() const { return broken_; }  ///< the last character cannot belong to JSON
  bool is_call() const { return name_.has_value(); }
  const std::string& raw() const { return raw_; }

  /// The name, once, as soon as it is known.
  std::optional<std::string> take_name();
  /// The part of the arguments' text that is new; nothing before the name is known. An object that
  /// ended without arguments gives "{}"; arguments that are a string give what the string holds.
  std::string take_arguments();

 private:
  static constexpr size_t kNone = std::string::npos;
  void push_outside_string(char c);
  void close(char c);
  void begin_value();
  void end_value();
  std::string_view known_arguments() const;

  std::string raw_, open_, key_;  // open_: the brackets that are open, innermost last
  std::optional<std::string> name_;
  size_t string_begin_ = kNone, value_begin_ = kNone;
  size_t arguments_begin_ = kNone, arguments_end_ = kNone, taken_ = 0;
  bool in_string_ = false, escaped_ = false, ended_ = false, broken_ = false, name_taken_ = false,
       unpacked_ = false;
};

}  // namespace moge::serve
