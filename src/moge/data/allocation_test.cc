// Reading samples must not allocate once both epochs of a border have been met.
#include <gtest/gtest.h>

#include <numeric>

#include "moge/core/test_allocations.h"
#include "moge/data/packing.h"

namespace moge::data {
namespace {

TEST(Packing, DoesNotAllocateAfterWarmUp) {
  auto documents = std::make_shared<MemoryDocuments>("memory");
  std::vector<int32_t> tokens(50);
  std::iota(tokens.begin(), tokens.end(), 0);
  for (int d = 0; d < 40; ++d) {
    documents->append(tokens);
    documents->end_document();
  }
  PackedSamples samples(DocumentRange(documents), {.seq_length = 16, .reset_attention_mask = true},
                        0, "train");
  std::vector<int32_t> inputs(16), targets(16), positions(16), lengths;
  std::vector<float> mask(16);
  lengths.reserve(16);
  const int64_t epoch = samples.samples_per_epoch();
  const auto read = [&](int64_t first, int64_t last) {
    for (int64_t number = first; number < last; ++number) {
      lengths.clear();
      samples.get(number, {inputs, targets, positions, mask}, lengths);
    }
  };
  read(0, epoch + 1);  // the first samples of two epochs
  const int64_t before = num_allocations.load();
  read(1, 3 * epoch);
  EXPECT_EQ(num_allocations.load(), before);
}

}  // namespace
}  // namespace moge::data
