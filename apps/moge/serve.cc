// moge serve: the model behind an OpenAI-style HTTP API, with a page to watch it.
#include "moge/serve/http_server.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cli.h"
#include "commands.h"
#include "model_session.h"
#include "moge/serve/open_files.h"
#include "moge/serve/status_log.h"

namespace moge {

namespace {

struct ServeOptions {
  EngineChoice engine;
  serve::ServerOptions server;
  std::string served_model_name;
  std::vector<std::string> api_keys;
  std::string tool_call_parser = "auto", reasoning_parser = "none";
  bool enable_auto_tool_choice = false;
  int64_t max_connections = 0;
  double log_stats_interval_s = 5;

  void visit(FieldList& v) {
    engine.visit(v);
    v("host", server.host, "address to listen on");
    v("port", server.port, "TCP port to listen on; 0: any free one").between(0, 65535);
    v("served-model-name", served_model_name, "the model's name in the API (default: its folder's)")
        .also("alias")
        .letter('a');
    v("api-key", api_keys, "keys of which a client must send one; none: everybody may ask")
        .called("KEY");
    v("tool-call-parser", tool_call_parser,
      "how the model writes calls of tools; auto: as its chat template shows")
        .one_of({"auto", "none", "hermes", "llama3_json", "pangu"});
    v("enable-auto-tool-choice", enable_auto_tool_choice,
      "for vLLM's users: a server with a tool-call parser lets the model choose anyway");
    v("reasoning-parser", reasoning_parser, "how the model marks its reasoning")
        .one_of({"none", "qwen3", "deepseek_r1", "pangu"});
    v("max-connections", max_connections, "clients at once; 0: as many as open files allow")
        .at_least(0);
    v("uds", server.uds, "path of a Unix socket to listen on, in place of --host and --port")
        .called("PATH");
    v("ssl-keyfile", server.ssl_keyfile, "PEM file of the key: HTTPS").called("FILE");
    v("ssl-certfile", server.ssl_certfile, "PEM file of the certificate and its chain")
        .called("FILE");
    v("keep-alive-timeout", server.keep_alive_timeout_s, "seconds between two requests")
        .at_least(0.1);
    v("log-requests", server.log_requests, "a line for each request, without its texts");
    v("log-stats-interval", log_stats_interval_s,
      "seconds between two lines of throughput; 0: none")
        .at_least(0);
    v("request-timeout", server.header_timeout_s, "seconds for a request to arrive").at_least(0.1);
    v("write-timeout", server.write_timeout_s, "seconds for a client to take a piece of an answer")
        .at_least(0.1);
    v("drain-timeout", server.drain_timeout_s, "seconds for running requests after SIGTERM")
        .at_least(0);
  }
};

const serve::ToolForm* choose_tool_form(const ServeOptions& options,
                                        const text::ChatTemplate* chat_template) {
  if (options.tool_call_parser != "auto") return serve::find_tool_form(options.tool_call_parser);
  return chat_template ? serve::tool_form_of_template(chat_template->source()) : nullptr;
}

void serve_until_stopped(serve::HttpServer& server, const ServeOptions& options,
                         const infer::Engine& engine, const Run& run) {
  using Clock = std::chrono::steady_clock;
  const StopFlag& stop = run.stop();
  std::thread network([&server] { server.run(); });
  serve::StatusLog status;
  auto last = Clock::now();
  while (!stop.requested()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double seconds = std::chrono::duration<double>(Clock::now() - last).count();
    if (options.log_stats_interval_s == 0 || seconds < options.log_stats_interval_s) continue;
    last = Clock::now();
    if (const auto line = status.line(engine.stats(), seconds)) run.note(*line);
  }
  run.note(fmt::format("stopping: {} requests run, they have {} s", engine.stats().running,
                       options.server.drain_timeout_s));
  server.stop();
  network.join();
}

std::string address_of(const serve::ServerOptions& options, int port) {
  if (!options.uds.empty()) return options.uds;
  return fmt::format("{}://{}:{}", options.ssl_keyfile.empty() ? "http" : "https", options.host,
                     port);
}

void serve_model(ServeOptions& options, Run& run) {
  run.stop();  // from here on a signal lets requests end
  run.note(fmt::format("loading {} (kernels {}, {} threads)", options.engine.model, run.table().isa,
                       run.num_threads()));
  options.engine.commit_kv_cache = true;
  ModelSession session(options.engine, run);
  const serve::Service service{
      .model_name = options.served_model_name.empty() ? session.name() : options.served_model_name,
      .config = session.config(),
      .tokenizer = session.tokenizer(),
      .chat_template = session.chat_template(),
      .engine = session.engine(),
      .max_num_seqs = options.engine.max_num_seqs,
      .api_keys = options.api_keys,
      .isa = std::string(run.table().isa),
      .tool_form = choose_tool_form(options, session.chat_template()),
      .reasoning_form = serve::find_reasoning_form(options.reasoning_parser),
      .experts = &session.experts()};
  const int64_t room = serve::connections_for(serve::raise_open_file_limit());
  options.server.max_connections =
      options.max_connections > 0 ? std::min(options.max_connections, room) : room;
  options.server.log = [&run](const std::string& line) { run.note(line); };
  serve::HttpServer server(service, options.server);
  run.note(fmt::format("{}: {:.1f} MB of weights, context {}", service.model_name,
                       static_cast<double>(session.weight_bytes()) / 1e6,
                       session.engine().max_model_len()));
  run.note("serving at " + address_of(options.server, server.port()));
  serve_until_stopped(server, options, session.engine(), run);
  run.note("stopped");
}

}  // namespace

void add_serve(Cli& cli) {
  cli.add<ServeOptions>("serve", "Serve a model to OpenAI clients, with a page", serve_model);
}

}  // namespace moge
