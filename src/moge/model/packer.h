// Fills the memory of a model for inference from a source, range by range: a few rows at a time are
// read (and rounded, where that is asked for) and packed by all threads, and the source's pages go
// back. N rows (output channels), K columns, E experts.
#pragma once

#include <vector>

#include "moge/model/source.h"

namespace moge {

class Packer {
 public:
  Packer(const Context& context, const ModelSource& source, const LoadOptions& options);

  const std::vector<ParamTensor>& list() const { return list_; }
  /// Memory that pack() fills. Needs the source, because a quantized checkpoint may keep matrices.
  int64_t bytes(const WeightSource& source) const;
  ModelWeights pack(const WeightSource& source, const Buffer& storage);

 private:
  QuantScheme scheme_of(const WeightSource& source, const ParamTensor& t) const;
  /// Whether the layer's experts, routed and shared, are in one format: then gate and up are
  /// paired.
  bool pairs_experts(const WeightSource& source, int64_t layer) const;
  /// Without data.
  Weight describe(const WeightSource& source, const ParamTensor& t) const;
  int64_t stored_bytes(const WeightSource& source, const ParamTensor& t) const;
  char* take(int64_t bytes);
  Tensor read_vector(const WeightSource& source, const ParamTensor& t);
  Tensor read_rows(const WeightSource& source, const ParamTensor& t);
  Weight pack_matrix(const WeightSource& source, const ParamTensor& t);
  void pack_part(const WeightSource& source, const ParamTensor& t, const CheckpointPart& part,
                 const Weight& weight, char* target);
  void pack_chunk(const WeightSource& source, const ParamTensor& t, const CheckpointPart& part,
                  int64_t begin, int64_t end, const Weight& weight, char* target);
  void stage_row(const WeightSource& source, const ParamTensor& t, const CheckpointPart& part,
                 int64_t row, int64_t slot, const Weight& weight, int worker);

  const Context& context_;
  const ModelSource& model_;
  const LoadOptions& options_;
  QuantScheme scheme_;
  std::vector<ParamTensor> list_;
  char* next_ = nullptr;
  std::vector<char> values_;             // staged rows, in the format they are packed from
  std::vector<float> scales8_;           // of staged rows
  std::vector<BFloat16> scales4_;        // of staged rows, by group
  std::vector<std::vector<float>> row_;  // by worker: a row before it is rounded
  std::vector<std::vector<int8_t>> rounded_;
};

}  // namespace moge
