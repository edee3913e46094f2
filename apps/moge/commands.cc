#include "commands.h"

#include "cli.h"

namespace moge {

void add_all_commands(Cli& cli) {
  add_doctor(cli);
  add_tokenize(cli);
  add_detokenize(cli);
  add_tokenizer_train(cli);
}

}  // namespace moge
