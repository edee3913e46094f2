// N rows (output channels), K columns, G groups of K as written.
#include "moge/model/quantize.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/model/quantized_config.h"
#include "moge/model/safetensors.h"
#include "moge/model/source.h"
#include "moge/quant/pack.h"
#include "moge/quant/round.h"

namespace moge {

namespace fs = std::filesystem;

namespace {
constexpr int64_t kChunk = 1 << 20;  // elements between two writes

/// Rows of one matrix, rounded chunk by chunk.
class MatrixWriter {
 public:
  MatrixWriter(ThreadPool& threads, const WeightSource& source, const ParamTensor& tensor,
               const CheckpointPart& part, QuantScheme scheme)
      : threads_(threads), source_(source), tensor_(tensor), part_(part), scheme_(scheme) {
    scales_.resize(static_cast<size_t>(n() * groups()));
  }

  void write_values(FileWriter& out, const std::function<void(int64_t)>& written) {
    const int64_t rows = std::max<int64_t>(1, kChunk / k());
    std::vector<char> bytes(static_cast<size_t>(std::min(rows, n()) * row_bytes()));
    for (int64_t row = 0; row < n(); row += rows) {
      const int64_t count = std::min(rows, n() - row);
      threads_.parallel_for(
          count, [&](int64_t i, int) { round_row(row + i, bytes.data() + i * row_bytes()); });
      out.write(bytes.data(), static_cast<size_t>(count * row_bytes()));
      source_.release(tensor_, part_, row * k(), (row + count) * k());
      written(count * k());
    }
  }

  /// Each scale as often as the groups on disk are narrower than ours.
  void write_scales(FileWriter& out) {
    const int64_t on_disk = scheme_ == QuantScheme::kW8A8 ? 1 : k() / disk_group_size(k());
    for (int64_t row = 0; row < n(); ++row)
      for (int64_t g = 0; g < on_disk; ++g) {
        const float scale = scales_[row * groups() + g * disk_group_size(k()) / quant::kGroupSize];
        out.write(&scale, sizeof(scale));
      }
    scales_ = {};
  }

 private:
  int64_t n() const { return part_.shape[0]; }
  int64_t k() const { return part_.shape[1]; }
  int64_t groups() const { return scheme_ == QuantScheme::kW8A8 ? 1 : quant::num_groups(k()); }
  int64_t row_bytes() const {
    return scheme_ == QuantScheme::kW8A8 ? k() : 4 * quant::packed_words(k());
  }

  void round_row(int64_t row, char* out) {
    std::vector<float> w(static_cast<size_t>(k()));
    source_.read(tensor_, part_, row * k(), (row + 1) * k(), w.data());
    float* scales = scales_.data() + row * groups();
    bool finite = false;
    if (scheme_ == QuantScheme::kW8A8) {
      finite = quant::round_row_w8(w.data(), k(), reinterpret_cast<int8_t*>(out), scales);
    } else {
      std::vector<int8_t> q(w.size());
      std::vector<BFloat16> rounded(static_cast<size_t>(groups()));
      finite = quant::round_row_w4(w.data(), k(), q.data(), rounded.data());
      for (const BFloat16 scale : rounded) *scales++ = static_cast<float>(scale);
      quant::pack_row_w4(q.data(), k(), out);
    }
    check(finite, "'{}' holds a value that is not finite in row {}", part_.name, row);
  }

  ThreadPool& threads_;
  const WeightSource& source_;
  const ParamTensor& tensor_;
  const CheckpointPart& part_;
  QuantScheme scheme_;
  std::vector<float> scales_;  // [N][G], filled by write_values
};

/// What is written of a model, in order.
class Plan {
 public:
  Plan(ThreadPool& threads, const ModelSource& source, const WeightSource& weights,
       const std::vector<ParamTensor>& list, const QuantizeOptions& options,
       const QuantizeProgress& progress)
      : threads_(threads), weights_(weights), options_(options), progress_(progress) {
    for (const ParamTensor& tensor : list)
      for (const CheckpointPart& part : tensor.parts) add(tensor, part);
    // A tied head is rounded while the embedding is not: it becomes a tensor of its own.
    if (!unties(source.config, options)) return;
    head_ = list.front().parts.front();
    head_.name = "lm_head.weight";
    add_matrix(list.front(), list.front().parts.front(), head_.name);
  }

  const std::vector<TensorToWrite>& tensors() const { return tensors_; }

 private:
  void add(const ParamTensor& tensor, const CheckpointPart& part) {
    const bool kept = !is_quantizable(tensor) || (options_.keep_head && is_head(tensor));
    if (options_.scheme != QuantScheme::kNone && !kept) return add_matrix(tensor, part, part.name);
    const DType dtype =
        options_.scheme == QuantScheme::kNone ? DType::kBF16 : weights_.stored_dtype(tensor, part);
    const bool bf16 = dtype == DType::kBF16;
    tensors_.push_back(
        {part.name, bf16 ? DType::kBF16 : DType::kF32, part.shape, [&, bf16](FileWriter& out) {
           bf16 ? copy<BFloat16>(tensor, part, out) : copy<float>(tensor, part, out);
         }});
  }

  template <class T>
  void copy(const ParamTensor& tensor, const CheckpointPart& part, FileWriter& out) {
    std::vector<T> values(static_cast<size_t>(std::min(kChunk, part.numel)));
    constexpr int64_t kTask = 1 << 14;
    for (int64_t at = 0; at < part.numel; at += kChunk) {
      const int64_t count = std::min(kChunk, part.numel - at);
      threads_.parallel_for((count + kTask - 1) / kTask, [&](int64_t task, int) {
        const int64_t begin = task * kTask, end = std::min(count, begin + kTask);
        weights_.read(tensor, part, at + begin, at + end, values.data() + begin);
      });
      out.write(values.data(), static_cast<size_t>(count) * sizeof(T));
      weights_.release(tensor, part, at, at + count);
      advance(count);
    }
  }

  void add_matrix(const ParamTensor& tensor, const CheckpointPart& part, const std::string& name) {
    const std::string module = name.substr(0, name.size() - std::string_view("weight").size());
    const int64_t n = part.shape[0], k = part.shape[1];
    auto writer =
        std::make_shared<std::unique_ptr<MatrixWriter>>();  // made when its turn comes, for memory
    const auto values = [this, writer, &tensor, &part](FileWriter& out) {
      *writer = std::make_unique<MatrixWriter>(threads_, weights_, tensor, part, options_.scheme);
      (*writer)->write_values(out, [this](int64_t count) { advance(count); });
    };
    const auto scales = [writer](FileWriter& out) {
      (*writer)->write_scales(out);
      writer->reset();
    };
    if (options_.scheme == QuantScheme::kW8A8) {
      tensors_.push_back({name, DType::kI8, part.shape, values});
      tensors_.push_back({module + "weight_scale", DType::kF32, {n, 1}, scales});
      return;
    }
    const std::array<int64_t, 2> shape = {n, k};
    tensors_.push_back(
        {module + "weight_packed", DType::kI32, {n, quant::packed_words(k)}, values});
    tensors_.push_back({module + "weight_scale", DType::kF32, {n, k / disk_group_size(k)}, scales});
    tensors_.push_back({module + "weight_shape", DType::kI64, {2}, [shape](FileWriter& out) {
                          out.write(shape.data(), sizeof(shape));
                        }});
  }

  void advance(int64_t count) {
    done_ += count;
    check(progress_(done_), "stopped after {} parameters; nothing was written", done_);
  }

  ThreadPool& threads_;
  const WeightSource& weights_;
  const QuantizeOptions& options_;
  const QuantizeProgress& progress_;
  CheckpointPart head_;
  std::vector<TensorToWrite> tensors_;
  int64_t done_ = 0;
};

/// A folder that is removed unless it was renamed to what it is for.
class PartialFolder {
 public:
  explicit PartialFolder(fs::path target) : target_(std::move(target)), path_(target_) {
    check(!fs::exists(target_) || (fs::is_directory(target_) && fs::is_empty(target_)),
          "{}: exists already and is not empty", target_.string());
    path_ += ".partial";
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~PartialFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const fs::path& path() const { return path_; }
  void commit() {
    sync_folder(path_);
    fs::rename(path_, target_);
    sync_folder(target_.has_parent_path() ? target_.parent_path() : ".");
  }

 private:
  fs::path target_, path_;
};

fs::path without_trailing_slash(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}
}  // namespace

bool is_quantizable(const ParamTensor& t) {
  return t.kind == TensorKind::kMatrix && t.global != &Params::embed_VD &&
         t.in_layer != &LayerParams::w_router_ED && t.in_layer != &LayerParams::w_shared_gate_1D;
}

bool is_head(const ParamTensor& t) { return t.global == &Params::lm_head_VD; }

void quantize_model(ThreadPool& threads, const ModelSource& source, const fs::path& out,
                    const QuantizeOptions& options, const QuantizeProgress& progress) {
  check(options.scheme == QuantScheme::kNone || source.quantization.scheme == QuantScheme::kNone,
        "{}: is stored as {} already; quantize what it was made from", source.name,
        name_of(source.quantization.scheme));
  const auto list = list_params(source.config);
  const auto weights = open_weights(source, list, options.seed);
  PartialFolder folder(without_trailing_slash(out));
  const Plan plan(threads, source, *weights, list, options, progress);
  write_checkpoint(folder.path(), plan.tensors(), options.max_shard_bytes);
  copy_other_files(source, folder.path());
  write_quantized_config(source, list, options, folder.path());
  folder.commit();
}

}  // namespace moge
