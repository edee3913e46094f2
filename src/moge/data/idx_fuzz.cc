// Fuzzes the reader of .idx files and everything that trusts what it accepted.
// Input: 2 bytes (little endian) length of the .idx, the .idx, the rest is the .bin.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "moge/core/error.h"
#include "moge/data/packing.h"

namespace {

using namespace moge::data;

void read_samples(std::shared_ptr<const Documents> documents) {
  constexpr size_t kT = 4;
  PackedSamples samples(DocumentRange(std::move(documents)),
                        {.seq_length = kT,
                         .reset_position_ids = true,
                         .reset_attention_mask = true,
                         .eod_mask_loss = true,
                         .vocab_size = 60000},
                        0, "fuzzed");
  std::vector<int32_t> tokens(kT), targets(kT), positions(kT), lengths;
  std::vector<float> mask(kT);
  for (int64_t number = 0; number < 8; ++number)
    samples.get(number, {tokens, targets, positions, mask}, lengths);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto bytes = std::as_bytes(std::span(data + 2, size - 2));
  const size_t idx_bytes = std::min<size_t>(data[0] | data[1] << 8, bytes.size());
  // Copies, so that the sanitizer sees every step past either end.
  const std::vector<std::byte> idx(bytes.begin(), bytes.begin() + static_cast<int64_t>(idx_bytes));
  const std::vector<std::byte> bin(bytes.begin() + static_cast<int64_t>(idx_bytes), bytes.end());
  try {
    const IndexedDataset dataset(idx, bin, "fuzz");
    std::vector<int32_t> tokens;
    for (int64_t s = 0; s < dataset.num_sequences(); ++s) {
      tokens.resize(static_cast<size_t>(dataset.sequence_length(s)));
      dataset.read(s, 0, tokens);
    }
    read_samples(std::make_shared<IndexedDocuments>(IndexedDataset(idx, bin, "fuzz")));
  } catch (const moge::Error&) {
  }
  return 0;
}
