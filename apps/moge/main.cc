// moge: one program that trains, samples and serves grouped-expert language models.
#include "cli.h"
#include "commands.h"

int main(int argc, char** argv) {
  moge::Cli cli;
  moge::add_all_commands(cli);
  return cli.main({argv + 1, argv + argc});
}
