// A checkpoint's tensors as a model's weights. What is there decides how each matrix is held, as
// floats or quantized; config.json must agree.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "moge/core/error.h"
#include "moge/model/source.h"
#include "moge/model/stored_matrix.h"

namespace moge {

namespace {
class CheckpointSource final : public WeightSource {
 public:
  CheckpointSource(Checkpoint checkpoint, const ModelSource& source,
                   const std::vector<ParamTensor>& list)
      : checkpoint_(std::move(checkpoint)), quantization_(source.quantization) {
    for (const auto& [name, stored] : checkpoint_.tensors()) {
      const char* end = stored.data + (stored.entry.end - stored.entry.begin);
      auto& [low, high] = bounds_.try_emplace(stored.file, stored.data, end).first->second;
      low = std::min(low, stored.data);
      high = std::max(high, end);
    }
    for (const ParamTensor& tensor : list) add(tensor);
    check(quantization_.scheme == QuantScheme::kNone || !quantized_.empty(),
          "{}: quantization_config says {}, but no matrix is stored so", checkpoint_.where(),
          name_of(quantization_.scheme));
    for (const auto& [name, stored] : checkpoint_.tensors())
      check(used_.count(name) || is_left_over(source.config, stored),
            "{}: tensor '{}' ({}) is not used by a {} model of this config.json", stored.file, name,
            stored.entry.to_string(), source.config.model_type);
  }

  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            float* out) const override {
    if (const StoredMatrix* matrix = find_quantized(part)) return matrix->expand(begin, end, out);
    read_floats(tensor, part, begin, end, out);
  }
  void read(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin, int64_t end,
            BFloat16* out) const override {
    const StoredMatrix* matrix = find_quantized(part);
    if (!matrix) return read_floats(tensor, part, begin, end, out);
    std::vector<float> values(static_cast<size_t>(end - begin));
    matrix->expand(begin, end, values.data());
    for (float value : values) *out++ = BFloat16(value);
  }

  bool gives(const CheckpointPart& part, QuantScheme scheme) const override {
    const StoredMatrix* matrix = find_quantized(part);
    return matrix && matrix->scheme() == scheme;
  }
  bool kept_as_floats(const CheckpointPart& part) const override {
    return quantization_.scheme != QuantScheme::kNone && !find_quantized(part);
  }
  void read_w8(const CheckpointPart& part, int64_t begin, int64_t end, int8_t* values,
               float* scales) const override {
    find_quantized(part)->read_w8(begin, end, values, scales);
  }
  void read_w4(const CheckpointPart& part, int64_t begin, int64_t end, uint32_t* words,
               BFloat16* scales) const override {
    find_quantized(part)->read_w4(begin, end, words, scales);
  }

  DType stored_dtype(const ParamTensor& tensor, const CheckpointPart& part) const override {
    return find_quantized(part) ? DType::kBF16 : floats_of(tensor, part).entry.dtype;
  }

  void release(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin,
               int64_t end) const override {
    if (const StoredMatrix* matrix = find_quantized(part)) {
      const int64_t k = part.shape[1];
      matrix->give_back_rows(begin / k, (end + k - 1) / k);
      const StoredTensor* plain = checkpoint_.find(part.name);
      const std::string packed = part.name + "_packed";
      return give_back_around(plain ? *plain : *checkpoint_.find(packed), 0, 0);
    }
    const StoredTensor& stored = floats_of(tensor, part);
    const int64_t size = size_of(stored.entry.dtype), first = is_fused(tensor) ? part.first : 0;
    give_back_around(stored, (first + begin) * size, (first + end) * size);
  }

 private:
  /// Bytes [begin, end) of a tensor, and what the system mapped around them unasked.
  void give_back_around(const StoredTensor& stored, int64_t begin, int64_t end) const {
    constexpr int64_t kAround = int64_t{4} << 20;
    const auto& [low, high] = bounds_.at(stored.file);
    const char* from = stored.data + begin - std::min(kAround, stored.data + begin - low);
    const char* until = stored.data + end + std::min(kAround, high - (stored.data + end));
    give_back_pages(from, until - from);
  }

  void add(const ParamTensor& tensor) {
    if (is_fused(tensor)) return check_floats(use(tensor.fused_name), tensor.shape);
    for (const CheckpointPart& part : tensor.parts)
      if (holds_quantized(part))
        quantized_.emplace(
            part.name,
            StoredMatrix(quantization_, part.name, part.shape[0], part.shape[1],
                         [this](const std::string& n) -> const StoredTensor& { return use(n); }));
      else
        check_floats(use(part.name), part.shape);
  }

  bool holds_quantized(const CheckpointPart& part) const {
    if (quantization_.scheme == QuantScheme::kNone) return false;
    if (part.shape.size() != 2 || !part.name.ends_with(".weight")) return false;
    const StoredTensor* plain = checkpoint_.find(part.name);
    return !plain || !is_float(plain->entry.dtype);
  }

  /// The tensor, which must be there.
  const StoredTensor& use(const std::string& name) {
    const StoredTensor* stored = checkpoint_.find(name);
    check(stored != nullptr, "{}: tensor '{}' is missing", checkpoint_.where(), name);
    used_.insert(name);
    return *stored;
  }

  bool is_fused(const ParamTensor& tensor) const {
    return !tensor.fused_name.empty() && checkpoint_.find(tensor.fused_name);
  }
  const StoredTensor& floats_of(const ParamTensor& tensor, const CheckpointPart& part) const {
    return *checkpoint_.find(is_fused(tensor) ? tensor.fused_name : part.name);
  }
  const StoredMatrix* find_quantized(const CheckpointPart& part) const {
    const auto it = quantized_.find(part.name);
    return it == quantized_.end() ? nullptr : &it->second;
  }

  /// Tensors that old checkpoints carry and that mean nothing.
  bool is_left_over(const ModelConfig& config, const StoredTensor& stored) const {
    if (stored.entry.name.ends_with("rotary_emb.inv_freq")) return true;
    if (!config.tied_embeddings || stored.entry.name != "lm_head.weight") return false;
    const StoredTensor* embed = checkpoint_.find("model.embed_tokens.weight");
    const auto bytes = static_cast<size_t>(stored.entry.end - stored.entry.begin);
    return embed && embed->entry.dtype == stored.entry.dtype &&
           embed->entry.shape == stored.entry.shape &&
           std::memcmp(embed->data, stored.data, bytes) == 0;
  }

  template <class Out>
  void read_floats(const ParamTensor& tensor, const CheckpointPart& part, int64_t begin,
                   int64_t end, Out* out) const {
    const int64_t first = is_fused(tensor) ? part.first : 0;
    read_elements(floats_of(tensor, part), first + begin, first + end, out);
  }

  Checkpoint checkpoint_;
  QuantizationConfig quantization_;
  std::map<std::string, std::pair<const char*, const char*>> bounds_;  // of each file's tensors
  std::set<std::string> used_;
  std::map<std::string, StoredMatrix> quantized_;  // by the name of the part
};
}  // namespace

std::unique_ptr<WeightSource> open_checkpoint(const ModelSource& source,
                                              const std::vector<ParamTensor>& list) {
  return std::make_unique<CheckpointSource>(Checkpoint::open_folder(source.folder), source, list);
}

}  // namespace moge
