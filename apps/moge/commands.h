// Every sub-command, one file and one registration function each.
#pragma once

namespace moge {

class Cli;

void add_doctor(Cli& cli);
void add_tokenize(Cli& cli);
void add_detokenize(Cli& cli);
void add_tokenizer_train(Cli& cli);

/// Registers all of them, in the order in which --help lists them.
void add_all_commands(Cli& cli);

}  // namespace moge
