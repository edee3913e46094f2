#include "moge/serve/structured_output.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>
#include <utility>

#include "moge/core/error.h"
#include "moge/grammar/grammar_cache.h"
#include "moge/serve/api_error.h"
#include "moge/serve/event_queue.h"

namespace moge::serve {

namespace {

struct Compiled {
  std::shared_ptr<const grammar::CompiledGrammar> grammar;  // shared by all who ask for it
  std::string refused;                                      // why there is none
};

/// Whatever becomes of the one who waits.
struct Closer {
  EventQueue<Compiled>& queue;
  ~Closer() { queue.close(); }
};

}  // namespace

/// A vocabulary is read when the first request needs it.
class GrammarCompiler {
 public:
  ~GrammarCompiler() { thread_.join(); }

  asio::thread_pool& thread() { return thread_; }

  /// On the thread.
  Compiled get(const Service& service, const grammar::OutputFormat& format) {
    try {
      const bool calls = format.has_calls();
      auto& cache = calls ? calls_cache_ : cache_;
      if (!cache)
        cache = std::make_unique<grammar::GrammarCache>(
            grammar::make_vocabulary(service.tokenizer, service.config.vocab_size,
                                     service.config.eos_ids, shown(service, calls)));
      return {cache->get(format), {}};
    } catch (const std::exception& error) {
      return {nullptr, error.what()};
    }
  }

 private:
  /// Markers of reasoning and, where calls are made, of calls may be control tokens.
  static std::vector<int32_t> shown(const Service& service, bool calls) {
    std::vector<std::string_view> markers;
    if (const ReasoningForm* reasoning = service.reasoning_form)
      markers = {reasoning->begin, reasoning->end};
    if (calls)
      for (const std::string_view marker :
           {service.demanded_form().begin, service.demanded_form().end})
        markers.push_back(marker);
    std::vector<int32_t> ids;
    for (const std::string_view marker : markers)
      if (const auto id = service.tokenizer.piece_to_id(marker)) ids.push_back(*id);
    return ids;
  }

  asio::thread_pool thread_{1};
  std::unique_ptr<grammar::GrammarCache> cache_, calls_cache_;
};

std::shared_ptr<GrammarCompiler> make_grammar_compiler() {
  return std::make_shared<GrammarCompiler>();
}

asio::awaitable<void> compile_output_format(const Service& service, GenerateRequest& request,
                                            const OutputForm& output) {
  if (!request.asked_format) co_return;
  grammar::OutputFormat& format = request.asked_format->format;
  if (const ReasoningForm* reasoning = output.reasoning)
    format.preamble = {.begin = std::string(reasoning->begin),
                       .end = std::string(reasoning->end),
                       .open = output.reasoning_open || reasoning->from_start};
  const auto results = std::make_shared<EventQueue<Compiled>>(co_await asio::this_coro::executor);
  const Closer closer{*results};
  asio::post(service.grammars->thread(), [&service, results, format] {
    results->push(service.grammars->get(service, format));
  });
  Compiled compiled = co_await results->pop();
  if (!compiled.refused.empty())
    throw ApiError(400, fmt::format("{}: {}", request.asked_format->field, compiled.refused),
                   request.asked_format->field);
  request.grammar = std::move(compiled.grammar);
}

}  // namespace moge::serve
