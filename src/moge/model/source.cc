#include "moge/model/source.h"

#include "moge/core/error.h"

namespace moge {

void WeightSource::read_w8(const CheckpointPart& part, int64_t, int64_t, int8_t*, float*) const {
  fail("[model] '{}' is not held as w8a8", part.name);
}
void WeightSource::read_w4(const CheckpointPart& part, int64_t, int64_t, uint32_t*,
                           BFloat16*) const {
  fail("[model] '{}' is not held as w4a8", part.name);
}

std::unique_ptr<WeightSource> open_weights(const ModelSource& source,
                                           const std::vector<ParamTensor>& list, uint64_t seed) {
  if (source.folder.empty() || source.random_weights) return random_weights(source.config, seed);
  return open_checkpoint(source, list);
}

}  // namespace moge
