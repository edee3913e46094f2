// Random tokens in place of data (--mock-data, moge bench train).
#pragma once

#include <cstdint>

#include "moge/train/trainer.h"

namespace moge::train {

/// Samples whose tokens are a function of the seed and their place alone.
SampleSource mock_samples(uint64_t seed, int64_t vocab_size);

}  // namespace moge::train
