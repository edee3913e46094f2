// Where the elements of a model's tensors come from: a checkpoint, or seeded random numbers.
// N rows (output channels), K columns, G groups of 128 columns.
#pragma once

#include <memory>

#include "moge/model/load.h"
#include "moge/model/params.h"

namespace moge {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// Elements [begin, end) of `part` of `tensor`, rounded to the type of `out`. What is held
  /// quantized is multiplied out.
  virtual void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin,
                    int64_t end, float* out) const = 0;
  virtual void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin,
                    int64_t end, BFloat16* out) const = 0;

  /// Can give rows of `part` in this scheme without rounding anything.
  virtual bool gives(const CheckpointPart&, QuantScheme) const { return false; }
  /// Rows [begin, end) of a part that is given so: as compressed-tensors stores them.
  virtual void read_w8(const CheckpointPart&, int64_t begin, int64_t end, int8_t* values_NK,
                       float* scales_N) const;
  virtual void read_w4(const CheckpointPart&, int64_t begin, int64_t end, uint32_t* words_NK8,
                       BFloat16* scales_NG) const;
  /// Is stored in floats in a checkpoint that has quantized matrices: stays as it is.
  virtual bool kept_as_floats(const CheckpointPart&) const { return false; }
  /// The type of a part's values as stored, for those that are written on unchanged.
  virtual DType stored_dtype(const ParamTensor& tensor, const CheckpointPart& part) const = 0;

  /// Elements [begin, end) of `part` will not be read again soon: their pages go back.
  virtual void release(const ParamTensor&, const CheckpointPart&, int64_t /*begin*/,
                       int64_t /*end*/) const {}
};

/// Opens the checkpoint of a folder and holds it against the model: every tensor must be there in
/// its shape and type, and none may be left over. For a preset: random weights.
std::unique_ptr<WeightSource> open_weights(const ModelSource& source,
                                           const std::vector<ParamTensor>& list, uint64_t seed);

std::unique_ptr<WeightSource> open_checkpoint(const ModelSource& source,
                                              const std::vector<ParamTensor>& list);
/// Those of init_params up to 2^28 parameters. Above, where that would take minutes, uniform values
/// of the same variance, made directly in the scheme that is asked for.
std::unique_ptr<WeightSource> random_weights(const ModelConfig& config, uint64_t seed);

}  // namespace moge
