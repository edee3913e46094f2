// moge init: the model folder of a preset, with seeded random weights.
#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"
#include "moge/model/load.h"
#include "moge/text/tokenizer_files.h"

namespace moge {

namespace {

struct InitOptions {
  std::string model, out, dtype = "bfloat16";

  void visit(FieldList& v) {
    v("model", model, "preset:NAME").positional().required();
    v("out", out, "folder to write").required().called("DIR");
    v("dtype", dtype, "of the weights").one_of({"float32", "bfloat16"});
  }
};

void init(InitOptions& options, Run& run) {
  const ModelSource source = find_model(options.model);
  check(!source.preset.empty(), "{}: moge init takes preset:NAME", options.model);
  Buffer memory(static_cast<size_t>(flat_size(list_params(source.config))) * sizeof(float));
  const Params params = view_params(source.config, memory.as<float>());
  load_params(run.pool(), source, run.common().seed, params);
  std::filesystem::create_directories(options.out);
  save_model(options.out, source.config, params,
             options.dtype == "float32" ? DType::kF32 : DType::kBF16);
  text::write_tokenizer(options.out, text::byte_tokenizer_files(source.config.vocab_size));
  run.note(fmt::format("{}: {} parameters in {}", options.out, count_params(source.config),
                       options.dtype));
}

}  // namespace

void add_init(Cli& cli) {
  cli.add<InitOptions>("init", "Write a preset's model folder with random weights", init);
}

}  // namespace moge
