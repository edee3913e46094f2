#include "moge/serve/metrics.h"

#include <algorithm>
#include <span>

#include "moge/core/error.h"
#include "moge/serve/expert_stats.h"
#include "moge/serve/service.h"

namespace moge::serve {

namespace {

void write_head(std::string& out, std::string_view name, std::string_view type,
                std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void write_one(std::string& out, std::string_view name, std::string_view type,
               std::string_view help, std::string_view labels, double value) {
  write_head(out, name, type, help);
  out += labels.empty() ? fmt::format("{} {}\n", name, value)
                        : fmt::format("{}{{{}}} {}\n", name, labels, value);
}

/// As the text format wants a label's value: backslash, quote and line end escaped.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

/// counts[i]: observations above bounds[i - 1] and up to bounds[i]; the last: above all.
void write_histogram(std::string& out, std::string_view name, std::string_view help,
                     std::string_view labels, const Bounds& bounds,
                     std::span<const int64_t, 17> counts, double sum) {
  write_head(out, name, "histogram", help);
  int64_t below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    const std::string bound = i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf";
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound, below);
  }
  out +=
      fmt::format("{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, labels, sum, name, labels, below);
}

void write_requests(std::string& out, const Metrics& metrics, std::string_view labels) {
  write_head(out, "vllm:request_success_total", "counter", "Requests answered, by reason of end.");
  out += fmt::format("vllm:request_success_total{{{},finished_reason=\"stop\"}} {}\n", labels,
                     metrics.stopped);
  out += fmt::format("vllm:request_success_total{{{},finished_reason=\"length\"}} {}\n", labels,
                     metrics.at_length);
  const auto one = [&](const Histogram& histogram, const char* name, const char* help) {
    histogram.write(out, name, help, labels);
  };
  one(metrics.time_to_first_token, "vllm:time_to_first_token_seconds",
      "From a request's arrival to its first token.");
  one(metrics.inter_token_latency, "vllm:inter_token_latency_seconds",
      "Between two tokens of a request.");
  one(metrics.time_per_output_token, "vllm:request_time_per_output_token_seconds",
      "Mean time between a request's tokens.");
  one(metrics.queue_time, "vllm:request_queue_time_seconds",
      "From a request's arrival to its first step.");
  one(metrics.prefill_time, "vllm:request_prefill_time_seconds",
      "From a request's first step to its first token.");
  one(metrics.decode_time, "vllm:request_decode_time_seconds",
      "From a request's first token to its end.");
  one(metrics.inference_time, "vllm:request_inference_time_seconds",
      "From a request's first step to its end.");
  one(metrics.e2e_latency, "vllm:e2e_request_latency_seconds",
      "From a request's arrival to its end.");
  one(metrics.prompt_tokens, "vllm:request_prompt_tokens", "Prompt tokens of a request.");
  one(metrics.generation_tokens, "vllm:request_generation_tokens", "Output tokens of a request.");
  one(metrics.max_tokens, "vllm:request_params_max_tokens", "The most output tokens asked for.");
  one(metrics.n, "vllm:request_params_n", "Answers asked for by a request.");
}

/// Buckets of 1, 2, 4, ... tokens.
void write_steps(std::string& out, const infer::EngineStats& stats, std::string_view labels) {
  Bounds bounds;
  for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = static_cast<double>(1 << i);
  write_histogram(out, "vllm:iteration_tokens_total", "Tokens computed by a step.", labels, bounds,
                  stats.steps_by_rows, static_cast<double>(stats.step_rows));
}

void write_vllm(std::string& out, const infer::EngineStats& stats, const Metrics& metrics,
                std::string_view labels) {
  const auto gauge = [&](const char* name, const char* help, double value) {
    write_one(out, name, "gauge", help, labels, value);
  };
  const auto counter = [&](const char* name, const char* help, int64_t value) {
    write_one(out, name, "counter", help, labels, static_cast<double>(value));
  };
  const double pages = static_cast<double>(std::max<int64_t>(1, stats.pages_total));
  gauge("vllm:num_requests_running", "Requests in the step.", static_cast<double>(stats.running));
  gauge("vllm:num_requests_waiting", "Requests in the queue.", static_cast<double>(stats.waiting));
  gauge("vllm:kv_cache_usage_perc", "Part of the KV pages in use; 1 is all.",
        static_cast<double>(stats.pages_used) / pages);
  counter("vllm:prompt_tokens_total", "Prompt tokens computed or found in the cache.",
          stats.prompt_tokens);
  counter("vllm:generation_tokens_total", "Output tokens.", stats.output_tokens);
  counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
          stats.prefix_queries);
  counter("vllm:prefix_cache_hits_total", "Prompt tokens found there.", stats.prefix_hits);
  counter("vllm:num_preemptions_total", "Requests put back to make room.", stats.preemptions);
  counter("vllm:spec_decode_num_drafts_total", "Times that tokens were guessed.", stats.drafts);
  counter("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed.", stats.drafted_tokens);
  counter("vllm:spec_decode_num_accepted_tokens_total", "Guesses that were right.",
          stats.accepted_tokens);
  write_requests(out, metrics, labels);
  write_steps(out, stats, labels);
}

/// What the engine adds to the model: all steps' time without the two others.
void write_engine(std::string& out, const infer::EngineStats& stats, std::string_view labels) {
  write_one(out, "moge:step_seconds_total", "counter", "Time of steps.", labels,
            stats.prompt_s + stats.decode_s);
  write_one(out, "moge:model_seconds_total", "counter", "Time of steps in the model.", labels,
            stats.model_s);
  write_one(out, "moge:expert_recorder_seconds_total", "counter",
            "Time of steps in counting what experts do.", labels, stats.observer_s);
}

void write_llama(std::string& out, const infer::EngineStats& stats) {
  const auto one = [&](const char* name, const char* type, const char* help, int64_t value) {
    write_one(out, name, type, help, {}, static_cast<double>(value));
  };
  one("llamacpp:prompt_tokens_total", "counter", "Prompt tokens computed or found in the cache.",
      stats.prompt_tokens);
  one("llamacpp:prompt_tokens_cached_total", "counter", "Prompt tokens found in the cache.",
      stats.prefix_hits);
  one("llamacpp:tokens_predicted_total", "counter", "Output tokens.", stats.output_tokens);
  one("llamacpp:n_tokens_max", "counter", "Tokens of the longest request, prompt and output.",
      stats.longest);
  one("llamacpp:spec_decode_num_drafts_total", "counter", "Times that tokens were guessed.",
      stats.drafts);
  one("llamacpp:spec_decode_num_draft_tokens_total", "counter", "Tokens guessed.",
      stats.drafted_tokens);
  one("llamacpp:spec_decode_num_accepted_tokens_total", "counter", "Guesses that were right.",
      stats.accepted_tokens);
  const auto seconds = [&](const char* name, const char* type, const char* help, double value) {
    write_one(out, name, type, help, {}, value);
  };
  const auto rate = [](int64_t count, double s) {
    return s > 0 ? static_cast<double>(count) / s : 0.0;
  };
  seconds("llamacpp:prompt_seconds_total", "counter", "Time of steps with prompt tokens.",
          stats.prompt_s);
  seconds("llamacpp:tokens_predicted_seconds_total", "counter", "Time of steps without.",
          stats.decode_s);
  seconds("llamacpp:prompt_tokens_seconds", "gauge", "Prompt tokens per second of such steps.",
          rate(stats.prompt_tokens, stats.prompt_s));
  seconds("llamacpp:predicted_tokens_seconds", "gauge", "Output tokens per second of steps.",
          rate(stats.output_tokens, stats.prompt_s + stats.decode_s));
  seconds("llamacpp:n_busy_slots_per_decode", "gauge", "Output tokens per step.",
          rate(stats.output_tokens, static_cast<double>(stats.steps)));
  one("llamacpp:n_decode_total", "counter", "Steps of the engine.", stats.steps);
  one("llamacpp:requests_processing", "gauge", "Requests in the step.", stats.running);
  one("llamacpp:requests_deferred", "gauge", "Requests in the queue.", stats.waiting);
}

}  // namespace

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_->begin(), bounds_->end(), value);
  ++counts_[static_cast<size_t>(bound - bounds_->begin())];
  sum_ += value;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view help,
                      std::string_view labels) const {
  write_histogram(out, name, help, labels, *bounds_, counts_, sum_);
}

std::string metrics_text(const Service& service) {
  const infer::EngineStats stats = service.engine.stats();
  const std::string labels =
      fmt::format("model_name=\"{}\",engine=\"0\"", escaped(service.model_name));
  std::string out;
  write_vllm(out, stats, *service.metrics, labels);
  write_llama(out, stats);
  if (service.experts) write_expert_metrics(out, *service.experts, labels);
  write_engine(out, stats, labels);
  write_one(out, "vllm:cache_config_info", "gauge", "The KV cache.",
            fmt::format("{},num_pages=\"{}\",max_model_len=\"{}\"", labels, stats.pages_total,
                        service.engine.max_model_len()),
            1);
  write_one(out, "moge:build_info", "gauge", "The program and the instruction set it uses.",
            fmt::format("version=\"{}\",isa=\"{}\"", MOGE_VERSION, escaped(service.isa)), 1);
  return out;
}

}  // namespace moge::serve
