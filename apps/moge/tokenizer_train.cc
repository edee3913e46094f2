// `moge tokenizer train`: a byte-level BPE vocabulary from texts.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/text/bpe_trainer.h"

namespace moge {

namespace {

struct TokenizerTrainOptions {
  std::vector<std::string> input;
  int64_t vocab_size = 4096;
  std::string out, chat_template;

  void visit(FieldList& v) {
    v("input", input, "texts: .jsonl with a \"text\" in each line, else plain").required();
    v("vocab-size", vocab_size, "bytes, merged and special tokens together").between(259, 1000000);
    v("out", out, "folder to write").required();
    v("chat-template", chat_template, "Jinja file to put into tokenizer_config.json")
        .called("FILE");
  }
};

void add_lines(const std::string& path, const std::string& content, text::BpeTrainer& trainer) {
  int64_t number = 0;
  for (size_t begin = 0, end; begin < content.size(); begin = end + 1) {
    end = std::min(content.find('\n', begin), content.size());
    ++number;
    if (content.find_first_not_of(" \t\r", begin) >= end) continue;
    const auto line = nlohmann::json::parse(content.begin() + static_cast<int64_t>(begin),
                                            content.begin() + static_cast<int64_t>(end), nullptr,
                                            /*allow_exceptions=*/false);
    check(line.is_object() && line.contains("text") && line["text"].is_string(),
          "{}:{}: no JSON object with a \"text\"", path, number);
    trainer.add(line["text"].get<std::string>());
  }
}

void add_file(const std::string& path, text::BpeTrainer& trainer) {
  const std::string content = read_file(path, int64_t{4} << 30);
  if (std::filesystem::path(path).extension() == ".jsonl")
    add_lines(path, content, trainer);
  else
    trainer.add(content);
}

void run_train(TokenizerTrainOptions& options, Run& run) {
  text::BpeTrainOptions training{.vocab_size = options.vocab_size};
  if (!options.chat_template.empty()) training.chat_template = read_file(options.chat_template);
  text::BpeTrainer trainer(training);
  int64_t bytes = 0;
  for (const std::string& path : options.input) {
    add_file(path, trainer);
    bytes += static_cast<int64_t>(std::filesystem::file_size(path));
  }
  check(bytes > 0, "the corpus is empty: {} files with 0 bytes", options.input.size());
  const auto vocabulary = trainer.train();
  text::write_tokenizer(options.out, text::tokenizer_files(vocabulary));
  const auto size = vocabulary.tokens.size() + vocabulary.special_tokens.size();
  run.result({{"vocab_size", size},
              {"merges", vocabulary.merges.size()},
              {"input_bytes", bytes},
              {"out", options.out}});
}

}  // namespace

void add_tokenizer_train(Cli& cli) {
  cli.add<TokenizerTrainOptions>("tokenizer train", "Train a byte-level BPE tokenizer", run_train);
}

}  // namespace moge
