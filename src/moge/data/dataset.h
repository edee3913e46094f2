// What a training run reads: sources mixed by weight, split into parts, addressed by sample number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "moge/data/packing.h"

namespace moge {
class Tokenizer;
class ThreadPool;
}  // namespace moge

namespace moge::data {

/// Samples of one part of the data. Resuming needs nothing but the sample number.
class BatchSource {
 public:
  struct Source {
    PackedSamples samples;
    double weight;  ///< share of the samples, to the others' weights
  };
  explicit BatchSource(std::vector<Source> sources);

  /// Writes sample number `sample` and appends its sequence lengths (packing.h).
  void get(int64_t sample, const SampleView& out, std::vector<int32_t>& lengths_S);

  int64_t num_tokens() const;         ///< of all sources
  int64_t samples_per_epoch() const;  ///< of all sources

 private:
  /// Which source gives a sample, and how many it gave before in the same period.
  struct Turn {
    int32_t source, rank;
  };
  void fill_turns();

  std::vector<Source> sources_;
  std::vector<Turn> turns_;      // one period of the mix
  std::vector<int64_t> counts_;  // samples of each source in a period
};

struct DataOptions {
  /// One path, or `weight path weight path ...`, or several paths (weights by their tokens). A path
  /// is the PREFIX of .bin/.idx, or a .txt or .jsonl file, which is tokenized in memory.
  std::vector<std::string> data_path;
  std::string split = "949,50,1";  ///< train, valid, test shares of data_path, by tokens
  std::vector<std::string> train_data_path, valid_data_path;  ///< instead of data_path
  bool append_eod = true;                                     ///< to documents of text files
  PackingOptions packing;
};

/// A part that gets no share, or no path, is null.
struct DataParts {
  std::unique_ptr<BatchSource> train, valid, test;
};

/// Opens everything the options name. `tokenizer` is needed for text files; `pool` may be null.
DataParts open_data(const DataOptions& options, const Tokenizer* tokenizer, ThreadPool* pool);

/// "949,50,1" as three shares with the sum 1; fewer numbers leave the rest 0.
std::array<double, 3> parse_split(const std::string& text);

struct BlendEntry {
  std::string path;
  double weight;  ///< 0: by its tokens
};
std::vector<BlendEntry> parse_blend(const std::string& option,
                                    const std::vector<std::string>& arguments);

}  // namespace moge::data
