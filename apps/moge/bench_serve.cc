// moge bench serve: load on a running server, measured as `vllm bench serve` does.
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/serve/load_generator.h"
#include "moge/serve/open_files.h"

namespace moge {

namespace {

struct BenchServeOptions {
  std::string url = "http://127.0.0.1:8080", model, endpoint = "/v1/completions", api_key, dataset;
  std::string extra_body = "{}";
  std::string request_rate = "inf", ramp_up_strategy = "none";
  double burstiness = 1, temperature = 0, ramp_up_start_rps = 1, ramp_up_end_rps = 10;
  int64_t num_prompts = 1000, max_concurrency = 0, input_len = 1024, output_len = 128;
  double timeout_s = 600;
  bool ignore_eos = true;
  std::vector<double> percentiles = {99};

  void visit(FieldList& v) {
    v("url", url, "the server").also("base-url");
    v("model", model, "name to ask for; empty: the server's only one").letter('m');
    v("endpoint", endpoint, "what to ask").one_of({"/v1/completions", "/v1/chat/completions"});
    v("api-key", api_key, "key to send").called("KEY");
    v("num-prompts", num_prompts, "requests").at_least(1);
    v("request-rate", request_rate, "requests per second, or inf: all at once");
    v("burstiness", burstiness, "1: Poisson arrivals; less: bursts; more: evenly").at_least(1e-3);
    v("ramp-up-strategy", ramp_up_strategy, "how the rate goes from start to end")
        .one_of({"none", "linear", "exponential"});
    v("ramp-up-start-rps", ramp_up_start_rps, "rate at the first request").at_least(1e-3);
    v("ramp-up-end-rps", ramp_up_end_rps, "rate at the last request").at_least(1e-3);
    v("max-concurrency", max_concurrency, "requests on their way at once; 0: any number")
        .at_least(0);
    v("input-len", input_len, "tokens of a random prompt").at_least(1).also("random-input-len");
    v("output-len", output_len, "tokens to ask for").at_least(1).also("random-output-len");
    v("dataset", dataset, "JSON lines with `prompt` (or `text`) and, if given, `output_len`")
        .called("FILE")
        .also("dataset-path");
    v("temperature", temperature, "of every request").at_least(0);
    v("ignore-eos", ignore_eos, "every answer has its full length");
    v("extra-body", extra_body, "JSON object of further fields of every request").called("JSON");
    v("metric-percentiles", percentiles, "percentiles to report");
    v("request-timeout", timeout_s, "seconds for one request").at_least(0.1);
  }
};

using Json = nlohmann::ordered_json;

struct Prompt {
  Json prompt;
  int64_t input_tokens = 0, output_tokens = 0;
};

/// Single bytes of nearly every vocabulary: ids that any model knows.
Prompt random_prompt(std::mt19937_64& random, const BenchServeOptions& options) {
  std::uniform_int_distribution<int> id(10, 240), letter('a', 'z');
  Prompt made{.input_tokens = options.input_len, .output_tokens = options.output_len};
  if (options.endpoint == "/v1/completions") {
    std::vector<int> ids;
    for (int64_t i = 0; i < options.input_len; ++i) ids.push_back(id(random));
    made.prompt = ids;
    return made;
  }
  std::string text;
  for (int64_t i = 0; i < options.input_len; ++i) text += {static_cast<char>(letter(random)), ' '};
  made.prompt = text;
  return made;
}

std::vector<Prompt> read_prompts(const BenchServeOptions& options) {
  std::vector<Prompt> prompts;
  const std::string text = read_file(options.dataset);
  size_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const char* key = object.is_object() && object.contains("prompt") ? "prompt" : "text";
    check(object.is_object() && object.contains(key) && object[key].is_string(),
          "{} line {} has neither a prompt nor a text", options.dataset, line_number);
    const auto length = object.find("output_len");
    const bool given = length != object.end() && length->is_number_integer();
    prompts.push_back({.prompt = object[key],
                       .output_tokens = given ? length->get<int64_t>() : options.output_len});
  }
  check(!prompts.empty(), "{} has no line", options.dataset);
  return prompts;
}

Json parse_extra_body(const std::string& text) {
  Json extra = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!extra.is_object()) throw UsageError("--extra-body is not a JSON object");
  return extra;
}

std::string body_of(const Prompt& prompt, const BenchServeOptions& options, const Json& extra) {
  Json body = {{"stream", true},
               {"stream_options", {{"include_usage", true}}},
               {"max_tokens", prompt.output_tokens},
               {"temperature", options.temperature}};
  if (!options.model.empty()) body["model"] = options.model;
  if (options.ignore_eos) body["ignore_eos"] = true;
  if (options.endpoint == "/v1/completions") {
    body["prompt"] = prompt.prompt;
  } else {
    body["messages"] = {{{"role", "user"}, {"content", prompt.prompt}}};
  }
  body.update(extra);
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double read_rate(const std::string& text) {
  if (text == "inf") return std::numeric_limits<double>::infinity();
  char* end = nullptr;
  const double rate = std::strtod(text.c_str(), &end);
  if (*end != 0 || text.empty() || !(rate > 0))
    throw UsageError(fmt::format("--request-rate: '{}' is neither inf nor a number above 0", text));
  return rate;
}

std::vector<serve::LoadItem> make_items(const BenchServeOptions& options, uint64_t seed) {
  const serve::Arrivals arrivals{
      .rate = read_rate(options.request_rate),
      .burstiness = options.burstiness,
      .ramp = options.ramp_up_strategy == "none" ? "" : options.ramp_up_strategy,
      .start_rate = options.ramp_up_start_rps,
      .end_rate = options.ramp_up_end_rps,
      .seed = seed};
  const std::vector<double> times = serve::arrival_times(options.num_prompts, arrivals);
  const std::vector<Prompt> dataset =
      options.dataset.empty() ? std::vector<Prompt>{} : read_prompts(options);
  const Json extra = parse_extra_body(options.extra_body);
  std::mt19937_64 random(seed);
  std::vector<serve::LoadItem> items;
  for (size_t i = 0; i < times.size(); ++i) {
    const Prompt prompt =
        dataset.empty() ? random_prompt(random, options) : dataset[i % dataset.size()];
    items.push_back({.body = body_of(prompt, options, extra),
                     .input_tokens = prompt.input_tokens,
                     .send_at = times[i]});
  }
  return items;
}

void bench_serve(BenchServeOptions& options, Run& run) {
  serve::LoadTarget target = serve::parse_url(options.url);
  target.path = options.endpoint;
  target.api_key = options.api_key;
  target.max_concurrency = options.max_concurrency;
  target.timeout_s = options.timeout_s;
  serve::raise_open_file_limit();
  std::vector<serve::LoadItem> items = make_items(options, run.common().seed);
  Progress progress = run.progress("bench serve", options.num_prompts);
  const double seconds =
      serve::run_load(target, items, [&](int64_t done) { progress.update(done, ""); });
  Json report = serve::load_report(items, seconds, options.percentiles);
  for (const serve::LoadItem& item : items) {
    if (item.ok) continue;
    run.note("a request failed: " + item.error.substr(0, 300));
    break;
  }
  check(report["completed"] > 0, "all {} requests to {} failed", items.size(), options.url);
  report["request_rate"] = options.request_rate;
  report["max_concurrency"] = options.max_concurrency;
  run.result(report);
}

}  // namespace

void add_bench_serve(Cli& cli) {
  cli.add<BenchServeOptions>("bench serve", "Load on a running server", bench_serve);
}

}  // namespace moge
