#include "moge/model/load.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/model/iterations.h"
#include "moge/model/members.h"
#include "moge/model/source.h"

namespace moge {

namespace {
constexpr std::string_view kPresetPrefix = "preset:";
constexpr int64_t kBlock = 1 << 16;  // elements per task

/// What config.json says of the weights' type; published checkpoints without a word are bf16.
DType stored_dtype(const std::filesystem::path& folder) {
  const auto config = nlohmann::json::parse(read_file(folder / "config.json"));
  for (const char* key : {"dtype", "torch_dtype"})
    if (config.contains(key) && config[key] == "float32") return DType::kF32;
  return DType::kBF16;
}

/// The last component, also of "dir/" and ".".
std::string name_of_folder(const std::filesystem::path& folder) {
  const auto whole = std::filesystem::weakly_canonical(folder);
  return whole.filename().empty() ? whole.parent_path().filename().string()
                                  : whole.filename().string();
}
}  // namespace

ModelSource find_model(const std::string& text) {
  ModelSource source;
  if (text.starts_with(kPresetPrefix)) {
    source.preset = source.name = text.substr(kPresetPrefix.size());
    source.config = preset_config(source.preset);
    return source;
  }
  const std::filesystem::path path(text);
  check(std::filesystem::is_directory(path),
        "{}: no such folder; a model is a folder with config.json and *.safetensors, a training "
        "run's folder, or preset:NAME",
        text);
  source.name = name_of_folder(path);
  source.folder = model_folder(path);
  source.config = load_model_config(source.folder);
  source.quantization = load_quantization(source.folder);
  source.stored = stored_dtype(source.folder);
  return source;
}

void load_params(ThreadPool& threads, const ModelSource& source, uint64_t seed,
                 const Params& params) {
  const auto list = list_params(source.config);
  const auto weights = open_weights(source, list, seed);
  for (const ParamTensor& tensor : list)
    for (const CheckpointPart& part : tensor.parts) {
      float* out = part_of(params, tensor, part).as<float>();
      threads.parallel_for((part.numel + kBlock - 1) / kBlock, [&](int64_t block, int) {
        const int64_t begin = block * kBlock, end = std::min(part.numel, begin + kBlock);
        weights->read(tensor, part, begin, end, out + begin);
      });
    }
}

namespace {
/// Fills the memory of a model for inference, tensor by tensor.
class Packer {
 public:
  Packer(const Context& context, const ModelConfig& config, DType dtype)
      : context_(context), config_(config), dtype_(dtype), list_(list_params(config)) {}

  const std::vector<ParamTensor>& list() const { return list_; }

  int64_t bytes() const {
    int64_t total = 0;
    for (const ParamTensor& t : list_) total += padded(stored_bytes(t));
    if (config_.tied_embeddings) total += padded(packed_size(list_.front()));
    return total;
  }

  ModelWeights pack(const WeightSource& source, const Buffer& storage) {
    next_ = storage.data();
    ModelWeights w;
    w.layers.resize(config_.layers.size());
    for (const ParamTensor& t : list_) {
      if (t.kind == TensorKind::kVector)
        vector_member(w, t) = read_vector(source, t);
      else if (t.global == &Params::embed_VD)
        w.embed_VD = read_rows(source, t, take(stored_bytes(t)));
      else
        matrix_member(w, t) = pack_matrix(source, t);
    }
    if (config_.tied_embeddings) w.lm_head_VD = pack_matrix(source, list_.front());
    return w;
  }

 private:
  static int64_t padded(int64_t bytes) { return static_cast<int64_t>(Arena::padded(bytes)); }
  char* take(int64_t bytes) {
    char* at = next_;
    next_ += padded(bytes);
    return at;
  }

  int64_t packed_size(const ParamTensor& t) const {
    const auto [E, n, k] = sizes(t);
    return packed_bytes(context_.kernels, dtype_, E, n, k);
  }
  int64_t stored_bytes(const ParamTensor& t) const {
    if (t.kind == TensorKind::kVector) return t.numel * size_of(DType::kF32);
    return t.global == &Params::embed_VD ? t.numel * size_of(dtype_) : packed_size(t);
  }
  static std::array<int64_t, 3> sizes(const ParamTensor& t) {
    if (t.shape.size() == 3) return {t.shape[0], t.shape[1], t.shape[2]};
    return {1, t.shape[0], t.shape[1]};
  }

  Tensor read_vector(const WeightSource& source, const ParamTensor& t) {
    float* data = reinterpret_cast<float*>(take(t.numel * size_of(DType::kF32)));
    for (const CheckpointPart& part : t.parts)
      source.read(t, part, 0, part.numel, data + part.first);
    return Tensor::of(data, {t.numel});
  }

  /// Elements [first, last) of the storage tensor, row-major, as dtype_.
  void read_range(const WeightSource& source, const ParamTensor& t, int64_t first, int64_t last,
                  char* out) const {
    for (const CheckpointPart& part : t.parts) {
      const int64_t begin = std::max(first, part.first);
      const int64_t end = std::min(last, part.first + part.numel);
      if (begin >= end) continue;
      char* to = out + (begin - first) * size_of(dtype_);
      context_.threads.parallel_for((end - begin + kBlock - 1) / kBlock, [&](int64_t block, int) {
        const int64_t from = begin + block * kBlock, until = std::min(end, from + kBlock);
        char* at = to + (from - begin) * size_of(dtype_);
        if (dtype_ == DType::kBF16)
          source.read(t, part, from - part.first, until - part.first,
                      reinterpret_cast<BFloat16*>(at));
        else
          source.read(t, part, from - part.first, until - part.first, reinterpret_cast<float*>(at));
      });
    }
  }

  Tensor read_rows(const WeightSource& source, const ParamTensor& t, char* out) const {
    read_range(source, t, 0, t.numel, out);
    return Tensor(out, dtype_, {t.shape[0], t.shape[1]});
  }

  /// One expert at a time, so that the row-major copy stays small.
  Weight pack_matrix(const WeightSource& source, const ParamTensor& t) {
    const auto [E, n, k] = sizes(t);
    const int64_t each = packed_bytes(context_.kernels, dtype_, 1, n, k);
    char* target = take(packed_size(t));
    if (staging_.size() < static_cast<size_t>(n * k * size_of(dtype_)))
      staging_ = Buffer(static_cast<size_t>(n * k * size_of(dtype_)));
    for (int64_t e = 0; e < E; ++e) {
      read_range(source, t, e * n * k, (e + 1) * n * k, staging_.data());
      pack_weight(context_, Weight::dense(Tensor(staging_.data(), dtype_, {n, k})), dtype_,
                  target + e * each);
    }
    return {.format = WeightFormat::kPacked,
            .dtype = dtype_,
            .experts = E,
            .n = n,
            .k = k,
            .data = target};
  }

  const Context& context_;
  const ModelConfig& config_;
  DType dtype_;
  std::vector<ParamTensor> list_;
  char* next_ = nullptr;
  Buffer staging_;
};
}  // namespace

LoadedModel load_model(const Context& context, const ModelSource& source,
                       const LoadOptions& options) {
  Packer packer(context, source.config, options.dtype);
  const auto weights = open_weights(source, packer.list(), options.seed);
  LoadedModel loaded;
  loaded.source = source;
  loaded.storage = Buffer(static_cast<size_t>(packer.bytes()));
  loaded.model = Model::make(source.config, packer.pack(*weights, loaded.storage), options.dtype,
                             options.positions);
  return loaded;
}

}  // namespace moge
