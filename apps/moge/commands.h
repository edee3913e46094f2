// Every sub-command, one file and one registration function each.
#pragma once

namespace moge {

class Cli;

void add_init(Cli& cli);
void add_data_generate(Cli& cli);
void add_data_prepare(Cli& cli);
void add_tokenizer_train(Cli& cli);
void add_train(Cli& cli);
void add_generate(Cli& cli);
void add_chat(Cli& cli);
void add_serve(Cli& cli);
void add_eval(Cli& cli);
void add_tokenize(Cli& cli);
void add_detokenize(Cli& cli);
void add_inspect(Cli& cli);
void add_quantize(Cli& cli);
void add_doctor(Cli& cli);
void add_bench_model(Cli& cli);
void add_bench_attention(Cli& cli);
void add_bench_train(Cli& cli);
void add_bench_serve(Cli& cli);
void add_bench_gmm(Cli& cli);

/// Registers all of them, in the order in which --help lists them.
void add_all_commands(Cli& cli);

}  // namespace moge
