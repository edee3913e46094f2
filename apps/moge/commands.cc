#include "commands.h"

#include "cli.h"

namespace moge {

void add_all_commands(Cli& cli) {
  add_init(cli);
  add_data_generate(cli);
  add_data_prepare(cli);
  add_tokenizer_train(cli);
  add_train(cli);
  add_generate(cli);
  add_chat(cli);
  add_serve(cli);
  add_eval(cli);
  add_tokenize(cli);
  add_detokenize(cli);
  add_inspect(cli);
  add_quantize(cli);
  add_doctor(cli);
  add_bench_model(cli);
  add_bench_attention(cli);
  add_bench_train(cli);
  add_bench_serve(cli);
  add_bench_gmm(cli);
}

}  // namespace moge
