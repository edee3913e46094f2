#include "moge/model/packer.h"

#include <algorithm>

#include "moge/core/error.h"
#include "moge/model/members.h"
#include "moge/model/quantize.h"
#include "moge/quant/pack.h"
#include "moge/quant/round.h"

namespace moge {

namespace {
constexpr int64_t kChunk = 1 << 20;  // elements that are staged
constexpr int64_t kTask = 1 << 14;   // elements of a task

int64_t padded(int64_t bytes) { return static_cast<int64_t>(Arena::padded(bytes)); }

WeightFormat format_of(QuantScheme scheme) {
  switch (scheme) {
    case QuantScheme::kW8A8:
      return WeightFormat::kW8A8;
    case QuantScheme::kW4A8:
      return WeightFormat::kW4A8;
    default:
      return WeightFormat::kPacked;
  }
}

bool is_gate_up(const ParamTensor& t) {
  return t.in_layer == &LayerParams::w_gate_up_E2FD ||
         t.in_layer == &LayerParams::w_shared_gate_up_2SD;
}
bool is_expert(const ParamTensor& t) {
  return is_gate_up(t) || t.in_layer == &LayerParams::w_down_EDF ||
         t.in_layer == &LayerParams::w_shared_down_DS;
}

/// Bytes of a row as it is staged.
int64_t row_bytes(const Weight& w) {
  if (w.format == WeightFormat::kW8A8) return w.k;
  if (w.format == WeightFormat::kW4A8) return 4 * quant::packed_words(w.k);
  return w.k * size_of(w.dtype);
}
}  // namespace

Packer::Packer(const Context& context, const ModelSource& source, const LoadOptions& options)
    : context_(context),
      model_(source),
      options_(options),
      scheme_(options.scheme.value_or(source.quantization.scheme)),
      list_(list_params(source.config)),
      row_(static_cast<size_t>(context.num_threads())),
      rounded_(row_.size()) {
  const QuantScheme stored = source.quantization.scheme;
  check(stored == QuantScheme::kNone || scheme_ == QuantScheme::kNone || scheme_ == stored,
        "{}: is stored as {}, which cannot become {}: quantize what it was made from", source.name,
        name_of(stored), name_of(scheme_));
}

QuantScheme Packer::scheme_of(const WeightSource& source, const ParamTensor& t) const {
  if (scheme_ == QuantScheme::kNone || t.kind != TensorKind::kMatrix) return QuantScheme::kNone;
  const bool head = is_head(t) || t.global == &Params::embed_VD;  // a tied head
  if (!is_quantizable(t) && !head) return QuantScheme::kNone;
  if (model_.quantization.scheme == QuantScheme::kNone || model_.random_weights)
    return head && options_.keep_head ? QuantScheme::kNone : scheme_;
  const auto kept = std::count_if(t.parts.begin(), t.parts.end(), [&](const CheckpointPart& part) {
    return source.kept_as_floats(part);
  });
  check(kept == 0 || kept == static_cast<int64_t>(t.parts.size()),
        "{}: '{}' is {}, but others that are multiplied with it are not", model_.name,
        t.parts.front().name, source.kept_as_floats(t.parts.front()) ? "floats" : "quantized");
  return kept ? QuantScheme::kNone : scheme_;
}

bool Packer::pairs_experts(const WeightSource& source, int64_t layer) const {
  int64_t all = 0, quantized = 0;
  for (const ParamTensor& t : list_) {
    if (t.layer != layer || !is_expert(t)) continue;
    ++all;
    quantized += scheme_of(source, t) != QuantScheme::kNone;
  }
  return quantized == 0 || quantized == all;
}

Weight Packer::describe(const WeightSource& source, const ParamTensor& t) const {
  const bool grouped = t.shape.size() == 3;
  return {.format = format_of(scheme_of(source, t)),
          .dtype = options_.dtype,
          .experts = grouped ? t.shape[0] : 1,
          .n = t.shape[grouped],
          .k = t.shape[grouped + 1],
          .paired = is_gate_up(t) && pairs_experts(source, t.layer)};
}

int64_t Packer::stored_bytes(const WeightSource& source, const ParamTensor& t) const {
  if (t.kind == TensorKind::kVector) return t.numel * size_of(DType::kF32);
  if (t.global == &Params::embed_VD) return t.numel * size_of(options_.dtype);
  return packed_bytes(context_.kernels, describe(source, t));
}

int64_t Packer::bytes(const WeightSource& source) const {
  int64_t total = 0;
  for (const ParamTensor& t : list_) total += padded(stored_bytes(source, t));
  if (model_.config.tied_embeddings)
    total += padded(packed_bytes(context_.kernels, describe(source, list_.front())));
  return total;
}

char* Packer::take(int64_t bytes) {
  constexpr int64_t kHugePage = 2 << 20;
  char* at = next_;
  next_ += padded(bytes);
  // Each huge page is touched by one thread: two that write to the same new one would both clear
  // 2 MiB, and one of them in vain.
  context_.threads.parallel_for((bytes + kHugePage - 1) / kHugePage,
                                [&](int64_t page, int) { at[page * kHugePage] = 0; });
  return at;
}

ModelWeights Packer::pack(const WeightSource& source, const Buffer& storage) {
  next_ = storage.data();
  ModelWeights w;
  w.layers.resize(model_.config.layers.size());
  for (const ParamTensor& t : list_) {
    if (t.kind == TensorKind::kVector)
      vector_member(w, t) = read_vector(source, t);
    else if (t.global == &Params::embed_VD)
      w.embed_VD = read_rows(source, t);
    else
      matrix_member(w, t) = pack_matrix(source, t);
  }
  if (model_.config.tied_embeddings) w.lm_head_VD = pack_matrix(source, list_.front());
  return w;
}

Tensor Packer::read_vector(const WeightSource& source, const ParamTensor& t) {
  float* data = reinterpret_cast<float*>(take(t.numel * size_of(DType::kF32)));
  for (const CheckpointPart& part : t.parts) source.read(t, part, 0, part.numel, data + part.first);
  return Tensor::of(data, {t.numel});
}

Tensor Packer::read_rows(const WeightSource& source, const ParamTensor& t) {
  const bool bf16 = options_.dtype == DType::kBF16;
  char* out = take(t.numel * size_of(options_.dtype));
  const CheckpointPart& part = t.parts.front();
  context_.threads.parallel_for((t.numel + kChunk - 1) / kChunk, [&](int64_t chunk, int) {
    const int64_t begin = chunk * kChunk, end = std::min(t.numel, begin + kChunk);
    if (bf16)
      source.read(t, part, begin, end, reinterpret_cast<BFloat16*>(out) + begin);
    else
      source.read(t, part, begin, end, reinterpret_cast<float*>(out) + begin);
    source.release(t, part, begin, end);
  });
  return Tensor(out, options_.dtype, {t.shape[0], t.shape[1]});
}

Weight Packer::pack_matrix(const WeightSource& source, const ParamTensor& t) {
  Weight weight = describe(source, t);
  char* target = take(packed_bytes(context_.kernels, weight));
  weight.data = target;
  for (const CheckpointPart& part : t.parts) pack_part(source, t, part, weight, target);
  return weight;
}

void Packer::pack_part(const WeightSource& source, const ParamTensor& t, const CheckpointPart& part,
                       const Weight& weight, char* target) {
  const int64_t rows = part.numel / weight.k;
  const int64_t chunk = std::max<int64_t>(1, kChunk / weight.k);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t end = std::min(rows, begin + chunk);
    pack_chunk(source, t, part, begin, end, weight, target);
    source.release(t, part, begin * weight.k, end * weight.k);
  }
}

void Packer::pack_chunk(const WeightSource& source, const ParamTensor& t,
                        const CheckpointPart& part, int64_t begin, int64_t end,
                        const Weight& weight, char* target) {
  const int64_t rows = end - begin, groups = quant::num_groups(weight.k);
  values_.resize(std::max(values_.size(), static_cast<size_t>(rows * row_bytes(weight))));
  scales8_.resize(std::max(scales8_.size(), static_cast<size_t>(rows)));
  scales4_.resize(std::max(scales4_.size(), static_cast<size_t>(rows * groups)));
  const int64_t each = std::max<int64_t>(1, kTask / weight.k);
  context_.threads.parallel_for((rows + each - 1) / each, [&](int64_t task, int worker) {
    for (int64_t slot = task * each; slot < std::min(rows, (task + 1) * each); ++slot)
      stage_row(source, t, part, begin + slot, slot, weight, worker);
  });
  const int64_t first = part.first / weight.k + begin;  // over all experts
  const int64_t expert = first / weight.n, row = first % weight.n;
  const char* values = values_.data();
  if (weight.format == WeightFormat::kW8A8)
    pack_rows(context_, weight, expert, row,
              Int8Rows{rows, reinterpret_cast<const int8_t*>(values), scales8_.data()}, target);
  else if (weight.format == WeightFormat::kW4A8)
    pack_rows(context_, weight, expert, row,
              Int4Rows{rows, reinterpret_cast<const uint32_t*>(values), scales4_.data()}, target);
  else
    pack_rows(context_, weight, expert, row, FloatRows{rows, weight.dtype, values}, target);
}

void Packer::stage_row(const WeightSource& source, const ParamTensor& t, const CheckpointPart& part,
                       int64_t row, int64_t slot, const Weight& weight, int worker) {
  const int64_t k = weight.k, groups = quant::num_groups(k);
  char* out = values_.data() + slot * row_bytes(weight);
  auto* scales4 = scales4_.data() + slot * groups;
  if (weight.format == WeightFormat::kPacked) {
    if (weight.dtype == DType::kBF16)
      return source.read(t, part, row * k, (row + 1) * k, reinterpret_cast<BFloat16*>(out));
    return source.read(t, part, row * k, (row + 1) * k, reinterpret_cast<float*>(out));
  }
  if (source.gives(part, scheme_)) {
    if (scheme_ == QuantScheme::kW8A8)
      return source.read_w8(part, row, row + 1, reinterpret_cast<int8_t*>(out),
                            scales8_.data() + slot);
    return source.read_w4(part, row, row + 1, reinterpret_cast<uint32_t*>(out), scales4);
  }
  std::vector<float>& w = row_[static_cast<size_t>(worker)];
  w.resize(static_cast<size_t>(k));
  source.read(t, part, row * k, (row + 1) * k, w.data());
  bool finite = false;
  if (scheme_ == QuantScheme::kW8A8) {
    finite =
        quant::round_row_w8(w.data(), k, reinterpret_cast<int8_t*>(out), scales8_.data() + slot);
  } else {
    std::vector<int8_t>& q = rounded_[static_cast<size_t>(worker)];
    q.resize(static_cast<size_t>(k));
    finite = quant::round_row_w4(w.data(), k, q.data(), scales4);
    quant::pack_row_w4(q.data(), k, out);
  }
  check(finite, "{}: '{}' holds a value that is not finite in row {}", model_.name, part.name, row);
}

}  // namespace moge
