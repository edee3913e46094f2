// What GET /metrics shows, and the dashboard that asks for it.
#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "moge/core/test_paths.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

/// The names of all series, without labels.
std::set<std::string> names_of(const std::string& metrics) {
  std::set<std::string> names;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] != '#') names.insert(line.substr(0, line.find_first_of(" {")));
  return names;
}

std::set<std::string> asked_by(const json& dashboard) {
  std::set<std::string> names;
  static const std::regex name("(vllm|llamacpp|moge):[a-z0-9_]+");
  for (const json& panel : dashboard["panels"])
    for (const json& target : panel["targets"]) {
      const std::string expression = target["expr"];
      for (std::sregex_iterator at(expression.begin(), expression.end(), name), end; at != end;
           ++at)
        names.insert(at->str());
    }
  return names;
}

TEST_F(Server, TheDashboardAsksForNothingThatMetricsLack) {
  const auto file = testing::source_folder() / "docs" / "grafana.json";
  std::ifstream in(file);
  const json dashboard = json::parse(in, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(dashboard.is_object()) << file;
  const std::set<std::string> asked = asked_by(dashboard), shown = names_of(get("/metrics"));
  EXPECT_GE(asked.size(), 25u);
  for (const std::string& name : asked) EXPECT_TRUE(shown.count(name)) << name;
}

TEST_F(Server, HistogramsCountRequestsAndSteps) {
  EXPECT_EQ(status_of(post("/v1/completions",
                           R"({"prompt":"abcd","max_tokens":3,"n":2,"ignore_eos":true})")),
            200);
  settle();
  const std::string metrics = get("/metrics");
  const auto has = [&](const std::string& name, const std::string& more, const char* value) {
    const std::string line =
        name + "{model_name=\"tiny\",engine=\"0\"" + more + "} " + value + "\n";
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  };
  has("vllm:request_params_n_sum", "", "2");
  has("vllm:request_params_max_tokens_sum", "", "6");
  has("vllm:request_prompt_tokens_bucket", ",le=\"2\"", "0");
  has("vllm:request_prompt_tokens_bucket", ",le=\"5\"", "2");
  has("vllm:request_generation_tokens_sum", "", "6");
  const infer::EngineStats stats = engine_->stats();
  has("vllm:iteration_tokens_total_count", "", std::to_string(stats.steps).c_str());
  has("vllm:iteration_tokens_total_sum", "", std::to_string(stats.step_rows).c_str());
  EXPECT_GE(stats.step_rows, 4 + 2 * 2);
  EXPECT_GT(stats.model_s, 0);
  EXPECT_GT(stats.observer_s, 0);
  EXPECT_LE(stats.model_s + stats.observer_s, stats.prompt_s + stats.decode_s);
}

TEST_F(Server, EverySeriesHasHelpAndType) {
  post("/v1/completions", R"({"prompt":"abcd","max_tokens":3,"ignore_eos":true})");
  settle();
  const std::string metrics = get("/metrics");
  std::set<std::string> names = names_of(metrics.substr(metrics.find("\r\n\r\n") + 4));
  for (const char* name :
       {"vllm:spec_decode_num_drafts_total", "vllm:spec_decode_num_draft_tokens_total",
        "vllm:spec_decode_num_accepted_tokens_total", "llamacpp:spec_decode_num_drafts_total",
        "llamacpp:n_tokens_max"})
    EXPECT_TRUE(names.count(name)) << name;
  EXPECT_NE(metrics.find("\nllamacpp:n_tokens_max 7\n"), std::string::npos);
  for (const std::string& name : names) {
    std::string family = name;
    for (const char* part : {"_bucket", "_sum", "_count"})
      if (metrics.find("# TYPE " + name + " ") == std::string::npos && name.ends_with(part))
        family.resize(name.size() - std::string(part).size());
    EXPECT_NE(metrics.find("# HELP " + family + " "), std::string::npos) << name;
    EXPECT_NE(metrics.find("# TYPE " + family + " "), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace moge::serve
