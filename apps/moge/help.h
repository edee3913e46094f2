// Texts that teach the command line.
#pragma once

#include <string>
#include <vector>

#include "cli.h"

namespace moge {

/// Every command with one line each.
std::string help_of_program(const std::vector<Command>& commands);

/// The commands of one group ("data"), or "" if there is no such group.
std::string help_of_group(const std::vector<Command>& commands, const std::string& group);

/// One line per option with its default.
std::string help_of_command(const Command& command, const std::vector<Field>& fields);

/// Version, compiler, instruction sets compiled in, MPI and CUDA found or not.
std::string version_text();

}  // namespace moge
