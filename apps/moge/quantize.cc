// moge quantize: a model's folder again, its matrices rounded to nearest.
#include "moge/model/quantize.h"
#include "cli.h"
#include "commands.h"
#include "format_option.h"
#include "moge/text/tokenizer_files.h"

namespace moge {

namespace {

struct QuantizeCommand {
  std::string model, out, format;
  bool keep_head = false;
  double max_shard_gb = 5;

  void visit(FieldList& v) {
    v("model", model, "model folder, --save folder or preset:NAME").positional().required();
    v("format", format,
      "w8a8: 8 bits, a scale per output channel; w4a8: 4 bits, a scale per 128; bf16: unquantized")
        .required()
        .one_of({"w8a8", "w4a8", "bf16"});
    v("out", out, "folder to write; it must not exist or be empty").required().called("DIR");
    v("keep-head", keep_head, "leave the output head as it is");
    v("max-shard-size", max_shard_gb, "GB of one file").at_least(0.001);
  }
};

void quantize(QuantizeCommand& options, Run& run) {
  const ModelSource source = find_model(options.model);
  const int64_t total = count_params(source.config);
  run.stop();
  Progress progress = run.progress("quantize", total);
  quantize_model(run.pool(), source, options.out,
                 {.scheme = scheme_of(options.format),
                  .keep_head = options.keep_head,
                  .seed = run.common().seed,
                  .max_shard_bytes = static_cast<int64_t>(options.max_shard_gb * 1e9)},
                 [&](int64_t done) {
                   progress.update(std::min(done, total));
                   return !run.stop().requested();
                 });
  if (!source.preset.empty())
    text::write_tokenizer(options.out, text::byte_tokenizer_files(source.config.vocab_size));
  run.note(fmt::format("{}: {} parameters in {}", options.out, total, options.format));
}

}  // namespace

void add_quantize(Cli& cli) {
  cli.add<QuantizeCommand>("quantize", "Round a model's weights to 8 or 4 bits", quantize);
}

}  // namespace moge
