#include "commands.h"

#include "cli.h"

namespace moge {

void add_all_commands(Cli& cli) { add_doctor(cli); }

}  // namespace moge
