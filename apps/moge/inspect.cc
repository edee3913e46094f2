// `moge inspect`: what a model is, and, on given tokens, everything it computes, under the names
// that reference implementations' goldens use.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/model/load.h"
#include "moge/model/record.h"
#include "moge/model/safetensors.h"
#include "moge/plan/limits.h"
#include "moge/plan/parameters.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  std::string model, inputs, dump;
  std::vector<std::string> tokens;
  bool grad = false;
  std::optional<double> aux_loss_coeff;

  void visit(FieldList& v) {
    v("model", model, "model folder, --save folder or preset:NAME").positional().required();
    v("inputs", inputs, "JSON file whose \"sequences\" are lists of token ids").called("FILE");
    v("tokens", tokens, "one sequence, such as '[1,2,3]'; may be repeated").called("LIST");
    v("dump", dump, "safetensors file for states, routing, losses and gradients").called("FILE");
    v("grad", grad, "also the gradients of the last sequence's loss");
    v("aux-loss-coeff", aux_loss_coeff, "adds every layer's balancing loss, times this, to it");
  }
};

Json expert_json(const ModelConfig& c) {
  const MoeConfig& m = c.moe;
  if (m.num_experts == 0) return {{"dense_width", c.dense_width}};
  return {{"experts", m.num_experts},
          {"groups", m.num_groups},
          {"top_k", m.top_k},
          {"expert_width", m.expert_width},
          {"shared_width", m.shared_width},
          {"dense_width", c.dense_width}};
}

Json layers_json(const ModelConfig& c) {
  std::vector<int64_t> params(c.layers.size());
  for (const ParamTensor& t : list_params(c))
    if (t.layer >= 0) params[t.layer] += t.numel;
  Json layers = Json::array();
  for (int64_t l = 0; l < c.num_layers(); ++l)
    layers.push_back({{"layer", l},
                      {"mlp", c.layers[l].moe ? "moe" : "dense"},
                      {"window", c.layers[l].window},
                      {"params", params[l]}});
  return layers;
}

/// Tensors of all layers under one name: `model.layers.*.mlp.experts.*.up_proj.weight`.
std::string pattern_of(const std::string& name) {
  std::string pattern;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool digit = '0' <= name[i] && name[i] <= '9';
    const bool number = digit && (i == 0 || name[i - 1] == '.' || pattern.back() == '*');
    if (!number)
      pattern += name[i];
    else if (pattern.empty() || pattern.back() != '*')
      pattern += '*';
  }
  return pattern;
}

struct TensorGroup {
  std::string name;
  std::vector<int64_t> shape;
  int64_t count = 0, params = 0;
};

Json tensors_json(const ModelConfig& c) {
  std::vector<TensorGroup> groups;
  for (const ParamTensor& t : list_params(c))
    for (const CheckpointPart& part : t.parts) {
      const std::string name = pattern_of(part.name);
      auto it = std::find_if(groups.begin(), groups.end(), [&](const TensorGroup& g) {
        return g.name == name && g.shape == part.shape;
      });
      if (it == groups.end()) it = groups.insert(it, {name, part.shape});
      ++it->count;
      it->params += part.numel;
    }
  Json tensors = Json::array();
  for (const TensorGroup& g : groups)
    tensors.push_back({{"name", g.name},
                       {"shape", Json(g.shape).dump()},
                       {"count", g.count},
                       {"params", g.params}});
  return tensors;
}

Json describe(const ModelSource& source) {
  const ModelConfig& c = source.config;
  const int64_t total = count_params(c);
  return {{"model", source.name},
          {"model_type", c.model_type},
          {"total_params", total},
          {"active_params", count_active_params(c)},
          {"layers", c.num_layers()},
          {"hidden", c.hidden_size},
          {"heads", c.num_heads},
          {"kv_heads", c.num_kv_heads},
          {"head_dim", c.head_dim},
          {"vocab", c.vocab_size},
          {"max_position", c.max_position},
          {"mlp", expert_json(c)},
          {"memory_bytes",
           {{"fp32", 4 * total},
            {"bf16", 2 * total},
            {"w8a8", plan::inference_weight_bytes(c, plan::WeightBytes::kW8A8)},
            {"w4a8", plan::inference_weight_bytes(c, plan::WeightBytes::kW4A8)},
            {"training_fp32", 16 * total},
            {"training_bf16", 18 * total}}},
          {"kv_bytes_per_token",
           {{"fp32", plan::kv_bytes_per_token(c, 4)},
            {"bf16", plan::kv_bytes_per_token(c, 2)},
            {"int8", plan::kv_bytes_per_token(c, 1)}}},
          {"by_layer", layers_json(c)},
          {"tensors", tensors_json(c)}};
}

std::vector<int32_t> ids_of(const nlohmann::json& list, const std::string& where) {
  check(list.is_array(), "{}: a sequence must be a list of token ids", where);
  std::vector<int32_t> ids;
  for (const auto& id : list) {
    check(id.is_number_integer() && id >= 0 && id <= INT32_MAX, "{}: {} is not a token id", where,
          id.dump().substr(0, 40));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

std::vector<std::vector<int32_t>> read_sequences(const InspectOptions& options) {
  std::vector<std::vector<int32_t>> sequences;
  if (!options.inputs.empty()) {
    const auto json = nlohmann::json::parse(read_file(options.inputs), nullptr, false);
    check(json.is_object() && json.contains("sequences") && json["sequences"].is_array(),
          "{}: has no list \"sequences\"", options.inputs);
    for (const auto& list : json["sequences"]) sequences.push_back(ids_of(list, options.inputs));
  }
  for (const std::string& text : options.tokens)
    sequences.push_back(ids_of(nlohmann::json::parse(text, nullptr, false), "--tokens " + text));
  return sequences;
}

void write_dump(const std::string& path, const std::vector<NamedArray>& arrays) {
  std::vector<TensorToWrite> tensors;
  for (const NamedArray& a : arrays)
    tensors.push_back({a.name, a.dtype, a.shape, [&a](FileWriter& out) {
                         out.write(a.floats.data(), a.floats.size() * sizeof(float));
                         out.write(a.ints.data(), a.ints.size() * sizeof(int32_t));
                       }});
  write_safetensors(path, tensors);
}

void dump(const InspectOptions& options, const ModelSource& source, Run& run) {
  const auto sequences = read_sequences(options);
  if (sequences.empty()) throw UsageError("--dump needs --inputs FILE or --tokens '[1,2,3]'");
  Buffer memory(static_cast<size_t>(flat_size(list_params(source.config))) * sizeof(float));
  const Params params = view_params(source.config, memory.as<float>());
  load_params(run.pool(), source, run.common().seed, params);
  const auto arrays =
      record_sequences(run.pool(), run.table(), source.config, params, sequences,
                       {.gradients = options.grad, .aux_loss_coeff = options.aux_loss_coeff});
  write_dump(options.dump, arrays);
  Json losses = Json::array();
  for (const NamedArray& a : arrays)
    if (a.name.ends_with(".loss")) losses.push_back(a.floats[0]);
  run.result({{"dump", options.dump},
              {"sequences", sequences.size()},
              {"tensors", arrays.size()},
              {"losses", losses}});
}

void inspect(InspectOptions& options, Run& run) {
  const bool asks =
      options.grad || options.aux_loss_coeff || !options.inputs.empty() || !options.tokens.empty();
  if (asks && options.dump.empty()) throw UsageError("give --dump FILE for what is computed");
  if (options.aux_loss_coeff && !options.grad)
    throw UsageError("--aux-loss-coeff needs --grad: it adds to the loss that is differentiated");
  const ModelSource source = find_model(options.model);
  if (options.dump.empty())
    run.result(describe(source));
  else
    dump(options, source, run);
}

}  // namespace

void add_inspect(Cli& cli) {
  cli.add<InspectOptions>("inspect", "Show a model's parameters, or dump what it computes",
                          inspect);
}

}  // namespace moge
