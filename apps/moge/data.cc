// moge data: the demo corpus, and token files for training.
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"
#include "moge/data/generate.h"
#include "moge/data/prepare.h"
#include "open_tokenizer.h"

namespace moge {

namespace {

/// For the library's loops: draws the bar, and ends the command once a signal came.
std::function<void(int64_t)> follow(Progress& bar, StopFlag& stop) {
  return [&bar, &stop](int64_t bytes) {
    check(!stop.requested(), "stopped by a signal; nothing was written");
    bar.update(bytes);
  };
}

struct GenerateDataOptions {
  std::string out, domains = "stories:1,arithmetic:2,code:1";
  int64_t bytes = 0;

  void visit(FieldList& v) {
    v("out", out, "JSON lines to write: {\"text\", \"domain\"}").required().called("FILE.jsonl");
    v("bytes", bytes, "bytes of text").required().at_least(1);
    v("domains", domains, "domains and their shares of the bytes");
  }
};

void generate_data(GenerateDataOptions& options, Run& run) {
  const data::CorpusOptions corpus{.bytes = options.bytes,
                                   .seed = run.common().seed,
                                   .weights = data::parse_domain_weights(options.domains)};
  Progress progress = run.progress("generate", options.bytes);
  const data::CorpusSummary summary =
      data::write_corpus(corpus, options.out, follow(progress, run.stop()));
  nlohmann::ordered_json domains = nlohmann::ordered_json::object();
  for (int d = 0; d < data::kNumDomains; ++d)
    domains[std::string(data::name_of(static_cast<data::Domain>(d)))] = {
        {"documents", summary.documents[static_cast<size_t>(d)]},
        {"bytes", summary.bytes[static_cast<size_t>(d)]}};
  run.result({{"file", options.out}, {"file_bytes", summary.file_bytes}, {"domains", domains}});
}

struct PrepareDataOptions {
  std::string input, tokenizer, out;
  bool no_eod = false;

  void visit(FieldList& v) {
    v("input", input, "a .txt file, or .jsonl with the key \"text\"").required().called("FILE");
    v("tokenizer", tokenizer, "folder with tokenizer.json or tokenizer.model")
        .required()
        .called("DIR")
        .also("tokenizer-model");
    v("out", out, "PREFIX of the .bin and .idx files")
        .required()
        .called("PREFIX")
        .also("output-prefix");
    v("no-eod", no_eod, "no end-of-document token after each document");
  }
};

void prepare_data(PrepareDataOptions& options, Run& run) {
  const auto tokenizer = open_tokenizer(options.tokenizer);
  std::error_code missing;  // which prepare_dataset reports
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(options.input, missing));
  Progress progress = run.progress("prepare", missing ? 0 : bytes);
  const data::PrepareSummary summary =
      data::prepare_dataset(options.input, *tokenizer, options.out,
                            {.append_eod = !options.no_eod,
                             .pool = &run.pool(),
                             .progress = follow(progress, run.stop())});
  run.result({{"prefix", options.out},
              {"documents", summary.documents},
              {"tokens", summary.tokens},
              {"text_bytes", summary.text_bytes}});
}

}  // namespace

void add_data_prepare(Cli& cli) {
  cli.add<PrepareDataOptions>("data prepare", "Tokenize a text file for training", prepare_data);
}

void add_data_generate(Cli& cli) {
  cli.add<GenerateDataOptions>("data generate", "Write the demo corpus", generate_data);
}

}  // namespace moge
