// What the experts do: GET /experts, and SGLang's three commands around a recording.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "moge/serve/service.h"

namespace moge::serve {

nlohmann::ordered_json experts(const Service& service);  ///< counts and balance of the last minute
nlohmann::ordered_json start_expert_record(const Service& service);
nlohmann::ordered_json stop_expert_record(const Service& service);
nlohmann::ordered_json dump_expert_record(const Service& service);  ///< what was counted so far

}  // namespace moge::serve
