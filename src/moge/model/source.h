// Where the elements of a model's tensors come from: a checkpoint, or seeded random numbers.
#pragma once

#include <memory>

#include "moge/model/load.h"
#include "moge/model/params.h"

namespace moge {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// Elements [begin, end) of `part` of `tensor`, rounded to the type of `out`.
  virtual void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin,
                    int64_t end, float* out) const = 0;
  virtual void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin,
                    int64_t end, BFloat16* out) const = 0;
};

/// Opens the checkpoint of a folder and holds it against the model: every tensor must be there in
/// its shape and as floats, and none may be left over. For a preset: random weights.
std::unique_ptr<WeightSource> open_weights(const ModelSource& source,
                                           const std::vector<ParamTensor>& list, uint64_t seed);

}  // namespace moge
