#include "moge/config/families.h"

#include "moge/core/error.h"
#include "moge/core/names.h"

namespace moge {

namespace {
using W = Family::Window;
using B = Family::Bias;
using R = Family::Renormalize;

// clang-format off
const Family kFamilies[] = {
    // model_type, architecture,
    //   vocab, hidden, dense width, layers, heads, kv heads, head dim, max position, eps, theta,
    //   biases, q/k norm, window kind and tokens, experts, top-k, expert width, shared width,
    //   renormalize, auxiliary coefficient, bos, eos, pad
    {"PanguProMoE", "PanguProMoEForCausalLM",
     153376, 5120, 0, 48, 40, 8, 0, 131072, 1e-5, 16e6,
     B::kAll, QkNorm::kNone, W::kNone, 0, 64, 8, 1344, 5376, R::kNever, 0.001, -1, -1, -1},
    {"olmoe", "OlmoeForCausalLM",
     50304, 2048, 0, 16, 16, 0, 0, 4096, 1e-5, 1e4,
     B::kAllByKey, QkNorm::kFullWidth, W::kNone, 0, 64, 8, 0, 0, R::kByKey, 0.01, -1, 50279, 1},
    {"mixtral", "MixtralForCausalLM",
     32000, 4096, 0, 32, 32, 8, 0, 131072, 1e-5, 1e6,
     B::kNone, QkNorm::kNone, W::kAll, 0, 8, 2, 0, 0, R::kAlways, 0.001, 1, 2, -1},
    {"qwen2_moe", "Qwen2MoeForCausalLM",
     151936, 2048, 5632, 24, 16, 16, 0, 32768, 1e-6, 1e4,
     B::kQkvByKey, QkNorm::kNone, W::kAlternating, 4096, 60, 4, 1408, 5632, R::kByKey, 0.001,
     -1, -1, -1},
    {"qwen3_moe", "Qwen3MoeForCausalLM",
     151936, 2048, 6144, 24, 32, 4, 0, 32768, 1e-6, 1e4,
     B::kAllByKey, QkNorm::kPerHead, W::kAllIfUsed, 4096, 128, 8, 768, 0, R::kByKey, 0.001,
     -1, -1, -1},
    {"llama", "LlamaForCausalLM",
     32000, 4096, 11008, 32, 32, 0, 0, 2048, 1e-6, 1e4,
     B::kAllByKey, QkNorm::kNone, W::kNone, 0, 0, 0, 0, 0, R::kNever, 0, 1, 2, -1},
    {"mistral", "MistralForCausalLM",
     32000, 4096, 14336, 32, 32, 8, 0, 131072, 1e-6, 1e4,
     B::kNone, QkNorm::kNone, W::kAll, 4096, 0, 0, 0, 0, R::kNever, 0, 1, 2, -1},
    {"qwen2", "Qwen2ForCausalLM",
     151936, 4096, 22016, 32, 32, 32, 0, 32768, 1e-6, 1e4,
     B::kQkv, QkNorm::kNone, W::kFromLayer, 4096, 0, 0, 0, 0, R::kNever, 0, -1, -1, -1},
    {"qwen3", "Qwen3ForCausalLM",
     151936, 4096, 22016, 32, 32, 32, 128, 32768, 1e-6, 1e4,
     B::kAllByKey, QkNorm::kPerHead, W::kFromLayer, 4096, 0, 0, 0, 0, R::kNever, 0, -1, -1, -1},
};
// clang-format on
}  // namespace

const Family& family_of(std::string_view model_type, std::string_view where) {
  std::vector<std::string> names;
  std::string all;
  for (const Family& family : kFamilies) {
    if (family.is(model_type)) return family;
    names.emplace_back(family.model_type);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  fail("{}: model_type '{}' is not known{} (known: {})", where, model_type,
       did_you_mean(model_type, names), all);
}

}  // namespace moge
