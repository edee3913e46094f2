#include "moge/serve/expert_routes.h"

#include <nlohmann/json.hpp>

#include "moge/serve/api_error.h"
#include "moge/serve/expert_stats.h"

namespace moge::serve {

using Json = nlohmann::ordered_json;

namespace {

infer::ExpertRecorder& recorder_of(const Service& service) {
  if (!service.experts) throw ApiError(501, "this server does not count what its experts do");
  return *service.experts;
}

Json layer_json(size_t index, const infer::LayerLoad& load, int64_t groups) {
  const LayerBalance balance = balance_of(load.rows_E, groups);
  const size_t per_group = load.rows_E.size() / static_cast<size_t>(groups);
  std::vector<int64_t> group_rows(static_cast<size_t>(groups));
  for (size_t e = 0; e < per_group * group_rows.size(); ++e)
    group_rows[e / per_group] += load.rows_E[e];
  Json made = {{"layer", index},
               {"counts", load.rows_E},
               {"groups", group_rows},
               {"steps", load.steps},
               {"imbalance_rows", load.row_imbalance},
               {"imbalance_bytes", load.byte_imbalance},
               {"distinct", load.distinct},
               {"busiest_share", balance.busiest_share},
               {"entropy", balance.entropy},
               {"dead", balance.dead}};
  if (!load.plain_E.empty()) made["plain_counts"] = load.plain_E;
  return made;
}

Json load_json(const Service& service, const infer::ExpertLoad& load, int64_t groups) {
  Json layers = Json::array();
  for (size_t i = 0; i < load.layers.size(); ++i)
    if (!load.layers[i].rows_E.empty()) layers.push_back(layer_json(i, load.layers[i], groups));
  return {{"model", service.model_name},
          {"seconds", load.seconds},
          {"tokens", load.tokens},
          {"num_experts", service.config.moe.num_experts},
          {"num_expert_groups", service.config.moe.num_groups},
          {"num_experts_per_tok", service.config.moe.top_k},
          {"devices", groups},
          {"layers", std::move(layers)}};
}

}  // namespace

Json experts(const Service& service) {
  const infer::ExpertRecorder& recorder = recorder_of(service);
  return load_json(service, recorder.last_minute(), recorder.num_groups());
}

Json start_expert_record(const Service& service) {
  recorder_of(service).start();
  return {{"recording", true}};
}

Json stop_expert_record(const Service& service) {
  recorder_of(service).stop();
  return {{"recording", false}};
}

Json dump_expert_record(const Service& service) {
  const infer::ExpertRecorder& recorder = recorder_of(service);
  const infer::ExpertLoad load = recorder.recorded();
  Json body = load_json(service, load, recorder.num_groups());
  body["recording"] = recorder.recording();
  Json counts = Json::array();  // SGLang's name: [layers][experts]
  for (const infer::LayerLoad& layer : load.layers) counts.push_back(layer.rows_E);
  body["logical_count"] = std::move(counts);
  return body;
}

}  // namespace moge::serve
