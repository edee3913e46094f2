#include "cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include "help.h"
#include "moge/core/error.h"
#include "moge/core/names.h"
#include "parse.h"

namespace moge {

namespace {

size_t words_of(const std::string& name) { return name.find(' ') == std::string::npos ? 1 : 2; }

bool matches(const Command& command, const std::vector<std::string>& args) {
  if (words_of(command.name) == 1) return !args.empty() && command.name == args[0];
  return args.size() >= 2 && command.name == args[0] + " " + args[1];
}

/// "train, generate" or, of one group, "data generate, data prepare".
std::vector<std::string> names_beside(const std::vector<Command>& commands,
                                      const std::string& group) {
  std::vector<std::string> names;
  for (const Command& command : commands)
    if (group.empty() || command.name.starts_with(group + " ")) names.push_back(command.name);
  return names;
}

void print_error(const std::exception& error, bool verbose) {
  fmt::print(stderr, "moge: error: {}\n", error.what());
  const auto* ours = dynamic_cast<const Error*>(&error);
  if (!verbose || !ours) return;
  fmt::print(stderr, "moge: thrown at {}:{} in {}\n", ours->where().file_name(),
             ours->where().line(), ours->where().function_name());
}

}  // namespace

const Command& Cli::find(const std::vector<std::string>& args) const {
  for (const Command& command : commands_)
    if (matches(command, args)) return command;
  const auto group = names_beside(commands_, args[0]);
  if (!args[0].empty() && !group.empty()) {
    if (args.size() == 1 || args[1].starts_with('-'))
      throw UsageError(fmt::format("'{}' is one of: {}", args[0], fmt::join(group, ", ")));
    const std::string name = args[0] + " " + args[1];
    throw UsageError(fmt::format("no command is called '{}'{}", name, did_you_mean(name, group)));
  }
  throw UsageError(fmt::format("no command is called '{}'{}", args[0],
                               did_you_mean(args[0], names_beside(commands_, ""))));
}

void Cli::dispatch(const std::vector<std::string>& args, bool& verbose) const {
  if (args.empty()) throw UsageError("no command given; `moge --help` lists them");
  if (args[0] == "--help" || args[0] == "-h") return print_out(help_of_program(commands_));
  if (args[0] == "--version") return print_out(version_text());
  if (args[0].starts_with('-'))
    throw UsageError(fmt::format("options follow the command: `moge COMMAND {} …`", args[0]));
  if (args.size() > 1 && (args[1] == "--help" || args[1] == "-h"))
    if (auto group = help_of_group(commands_, args[0]); !group.empty()) return print_out(group);
  const Command& command = find(args);
  const auto invocation = command.make();
  CommonOptions common;
  auto fields = invocation->fields();
  for (const Field& field : fields_of(common))
    if (!find_field(fields, field.name)) fields.push_back(field);
  const std::vector<std::string> rest(args.begin() + static_cast<long>(words_of(command.name)),
                                      args.end());
  const bool wants_help = parse_fields(command.name, fields, rest);
  verbose = common.verbose;
  if (wants_help) return print_out(help_of_command(command, fields));
  Run run(common);
  invocation->run(run);
  flush_out();
}

int Cli::main(std::vector<std::string> args) const {
  bool verbose = std::find(args.begin(), args.end(), "-v") != args.end() ||
                 std::find(args.begin(), args.end(), "--verbose") != args.end();
  try {
    dispatch(args, verbose);
    return 0;
  } catch (const UsageError& error) {
    print_error(error, verbose);
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "moge: error: out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    print_error(error, verbose);
    return 1;
  }
}

}  // namespace moge
