#include "commands.h"

#include "cli.h"

namespace moge {

void add_all_commands(Cli&) {}

}  // namespace moge
