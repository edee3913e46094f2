#include "moge/model/source.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "moge/core/error.h"
#include "moge/model/safetensors.h"

namespace moge {

namespace {
std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

void check_stored(const StoredTensor& t, const std::vector<int64_t>& shape) {
  check(is_float(t.entry.dtype), "{}: tensor '{}' is {}, want float32, bfloat16 or float16", t.file,
        t.entry.name, name_of(t.entry.dtype));
  check(t.entry.shape == shape, "{}: tensor '{}' is {}, config.json wants {}", t.file, t.entry.name,
        t.entry.to_string(), shape_text(shape));
}

class CheckpointSource final : public WeightSource {
 public:
  CheckpointSource(Checkpoint checkpoint, const ModelConfig& config,
                   const std::vector<ParamTensor>& list)
      : checkpoint_(std::move(checkpoint)) {
    std::set<std::string> used;
    for (const ParamTensor& tensor : list) check_tensor(tensor, used);
    for (const auto& [name, stored] : checkpoint_.tensors())
      check(used.count(name) || is_left_over(config, stored),
            "{}: tensor '{}' ({}) is not used by a {} model of this config.json", stored.file, name,
            stored.entry.to_string(), config.model_type);
  }

  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            float* out) const override {
    read_any(tensor, part, begin, end, out);
  }
  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            BFloat16* out) const override {
    read_any(tensor, part, begin, end, out);
  }

 private:
  void check_tensor(const ParamTensor& tensor, std::set<std::string>& used) const {
    if (const StoredTensor* fused = find_fused(tensor)) {
      check_stored(*fused, tensor.shape);
      used.insert(tensor.fused_name);
      return;
    }
    for (const CheckpointPart& part : tensor.parts) {
      const StoredTensor* stored = checkpoint_.find(part.name);
      check(stored != nullptr, "{}: tensor '{}' is missing", checkpoint_.where(), part.name);
      check_stored(*stored, part.shape);
      used.insert(part.name);
    }
  }

  const StoredTensor* find_fused(const ParamTensor& tensor) const {
    return tensor.fused_name.empty() ? nullptr : checkpoint_.find(tensor.fused_name);
  }

  /// Tensors that old checkpoints carry and that mean nothing.
  bool is_left_over(const ModelConfig& config, const StoredTensor& stored) const {
    if (stored.entry.name.ends_with("rotary_emb.inv_freq")) return true;
    if (!config.tied_embeddings || stored.entry.name != "lm_head.weight") return false;
    const StoredTensor& embed = *checkpoint_.find("model.embed_tokens.weight");
    const auto bytes = static_cast<size_t>(stored.entry.end - stored.entry.begin);
    return embed.entry.dtype == stored.entry.dtype && embed.entry.shape == stored.entry.shape &&
           std::memcmp(embed.data, stored.data, bytes) == 0;
  }

  template <class Out>
  void read_any(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
                Out* out) const {
    if (const StoredTensor* fused = find_fused(tensor))
      return read_elements(*fused, part.first + begin, part.first + end, out);
    read_elements(*checkpoint_.find(part.name), begin, end, out);
  }

  Checkpoint checkpoint_;
};

class RandomSource final : public WeightSource {
 public:
  RandomSource(const ModelConfig& config, uint64_t seed) : config_(config), seed_(seed) {}
  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            float* out) const override {
    init_elements(config_, seed_, part.name, tensor.kind, begin, end, out);
  }
  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            BFloat16* out) const override {
    constexpr int64_t kBlock = 1024;
    float values[kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = std::min(kBlock, end - i);
      read(tensor, part, i, i + n, values);
      for (int64_t j = 0; j < n; ++j) out[i - begin + j] = BFloat16(values[j]);
    }
  }

 private:
  ModelConfig config_;
  uint64_t seed_;
};
}  // namespace

std::unique_ptr<WeightSource> open_weights(const ModelSource& source,
                                           const std::vector<ParamTensor>& list, uint64_t seed) {
  if (source.folder.empty() || source.random_weights)
    return std::make_unique<RandomSource>(source.config, seed);
  return std::make_unique<CheckpointSource>(Checkpoint::open_folder(source.folder), source.config,
                                            list);
}

}  // namespace moge
