// moge serve: the model behind an OpenAI-style HTTP API, with a page to watch it.
#include "moge/serve/http_server.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cli.h"
#include "commands.h"
#include "model_session.h"

namespace moge {

namespace {

struct ServeOptions {
  EngineChoice engine;
  serve::ServerOptions server;
  std::string served_model_name;
  std::vector<std::string> api_keys;

  void visit(FieldList& v) {
    engine.visit(v);
    v("host", server.host, "address to listen on");
    v("port", server.port, "TCP port to listen on; 0: any free one").between(0, 65535);
    v("served-model-name", served_model_name, "the model's name in the API (default: its folder's)")
        .also("alias")
        .letter('a');
    v("api-key", api_keys, "keys of which a client must send one; none: everybody may ask")
        .called("KEY");
    v("max-connections", server.max_connections, "clients at once").at_least(1);
    v("request-timeout", server.header_timeout_s, "seconds for a request to arrive").at_least(0.1);
    v("write-timeout", server.write_timeout_s, "seconds for a client to take a piece of an answer")
        .at_least(0.1);
    v("drain-timeout", server.drain_timeout_s, "seconds for running requests after SIGTERM")
        .at_least(0);
  }
};

void serve_until_stopped(serve::HttpServer& server, const StopFlag& stop) {
  std::thread network([&server] { server.run(); });
  while (!stop.requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  server.stop();
  network.join();
}

void serve_model(ServeOptions& options, Run& run) {
  StopFlag& stop = run.stop();
  run.note(fmt::format("loading {} (kernels {}, {} threads)", options.engine.model, run.table().isa,
                       run.num_threads()));
  ModelSession session(options.engine, run);
  const serve::Service service{
      .model_name = options.served_model_name.empty() ? session.name() : options.served_model_name,
      .config = session.config(),
      .tokenizer = session.tokenizer(),
      .chat_template = session.chat_template(),
      .engine = session.engine(),
      .max_num_seqs = options.engine.max_num_seqs,
      .api_keys = options.api_keys,
      .isa = std::string(run.table().isa)};
  serve::HttpServer server(service, options.server);
  run.note(fmt::format("{}: {:.1f} MB of weights, context {}", service.model_name,
                       static_cast<double>(session.weight_bytes()) / 1e6,
                       session.engine().max_model_len()));
  run.note(fmt::format("serving at http://{}:{}", options.server.host, server.port()));
  serve_until_stopped(server, stop);
  run.note("stopped");
}

}  // namespace

void add_serve(Cli& cli) {
  cli.add<ServeOptions>("serve", "Serve a model to OpenAI clients, with a page", serve_model);
}

}  // namespace moge
