// The command line: `moge COMMAND [arguments] [options]`. A command is a config struct with a
// visit() (core/fields.h) and a function that runs it:
//
//   struct InitOptions {
//     std::string model, out;
//     void visit(FieldList& v) {
//       v("model", model, "preset:NAME").positional().required();
//       v("out", out, "folder to write").required();
//     }
//   };
//   void add_init(Cli& cli) {
//     cli.add<InitOptions>("init", "Write a preset's model folder",
//                          [](InitOptions& options, Run& run) { ... });
//   }
//
// The function prints through `run`, throws Error on failure and UsageError on a wrong option.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moge/core/fields.h"
#include "run.h"

namespace moge {

/// One invocation of a command: its options and what it does with them.
class Invocation {
 public:
  virtual ~Invocation() = default;
  virtual std::vector<Field> fields() = 0;
  virtual void run(Run& run) = 0;
};

template <class Config>
class InvocationOf : public Invocation {
 public:
  explicit InvocationOf(std::function<void(Config&, Run&)> body) : body_(std::move(body)) {}
  std::vector<Field> fields() override { return fields_of(config_); }
  void run(Run& run) override { body_(config_, run); }

 private:
  Config config_;
  std::function<void(Config&, Run&)> body_;
};

struct Command {
  std::string name;     ///< "train", or "data generate" for a command of a group
  std::string summary;  ///< one line
  std::function<std::unique_ptr<Invocation>()> make;
};

class Cli {
 public:
  /// Registers `moge NAME`. `name` may be two words.
  template <class Config>
  void add(std::string name, std::string summary, std::function<void(Config&, Run&)> body) {
    commands_.push_back({std::move(name), std::move(summary), [body = std::move(body)] {
                           return std::make_unique<InvocationOf<Config>>(body);
                         }});
  }

  /// Runs `args` (without the program's name) and returns the exit status: 0 done, 2 bad usage,
  /// 1 failure. Errors become one sentence on stderr.
  int main(std::vector<std::string> args) const;

 private:
  void dispatch(const std::vector<std::string>& args, bool& verbose) const;
  const Command& find(const std::vector<std::string>& args) const;
  std::vector<Command> commands_;
};

}  // namespace moge
