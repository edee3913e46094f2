// --format and --dtype: how a model's weights lie in memory and what its activations are.
#pragma once

#include <string>

#include "moge/core/error.h"
#include "moge/core/fields.h"
#include "moge/model/load.h"

namespace moge {

/// Of "w8a8" and "w4a8"; kNone for floats.
inline QuantScheme scheme_of(const std::string& format) {
  return format == "w8a8"   ? QuantScheme::kW8A8
         : format == "w4a8" ? QuantScheme::kW4A8
                            : QuantScheme::kNone;
}

/// Of a KV cache: "fp32", "bf16" and "int8"; `automatic` for any other name.
inline DType kv_dtype_of(const std::string& name, DType automatic) {
  if (name == "fp32") return DType::kF32;
  if (name == "bf16") return DType::kBF16;
  return name == "int8" ? DType::kI8 : automatic;
}

struct FormatOptions {
  std::string format = "auto", dtype = "auto";
  bool keep_head = false;

  void visit(FieldList& v) {
    v("format", format, "of the weights; w8a8, w4a8: rounded to nearest while loading")
        .one_of({"auto", "bf16", "fp32", "w8a8", "w4a8"})
        .also("quantization");
    v("dtype", dtype, "of activations, and of weights that are floats")
        .one_of({"auto", "bf16", "fp32"});
    v("keep-head", keep_head, "with --format w8a8 or w4a8: the output head stays as floats");
  }

  /// Scheme of the matrices of `source`.
  QuantScheme scheme(const ModelSource& source) const {
    return format == "auto" ? source.quantization.scheme : scheme_of(format);
  }

  /// Everything but seed and positions. "auto": as the folder stores it; quantized matrices are
  /// multiplied with what bf16 activations round to.
  LoadOptions load_options(const ModelSource& source) const {
    const bool floats = format == "bf16" || format == "fp32";
    if (floats && dtype != "auto" && dtype != format)
      throw UsageError("--format " + format + " and --dtype " + dtype + " contradict each other");
    LoadOptions options{.scheme = scheme(source), .keep_head = keep_head};
    const bool stored = *options.scheme == QuantScheme::kNone && source.stored == DType::kF32;
    const bool fp32 = floats ? format == "fp32" : dtype == "auto" ? stored : dtype == "fp32";
    options.dtype = fp32 ? DType::kF32 : DType::kBF16;
    return options;
  }
};

}  // namespace moge
