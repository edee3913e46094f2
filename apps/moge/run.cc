#include "run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"

namespace moge {

namespace {

StopFlag stop_flag;  // a signal handler reaches nothing else

void on_signal(int number) {
  if (!stop_flag.requested()) return stop_flag.request();
  _exit(128 + number);  // the second time: at once
}

void install_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

ThreadPool& Run::pool() {
  if (!pool_) pool_ = std::make_unique<ThreadPool>(num_threads());
  return *pool_;
}

const kernels::Table& Run::table() const {
  try {
    return kernels::choose_table(common_.isa);
  } catch (const Error& error) {
    throw UsageError(error.what(), error.where());
  }
}

StopFlag& Run::stop() const {
  [[maybe_unused]] static const bool kInstalled = (install_handler(), true);
  return stop_flag;
}

void Run::result(const nlohmann::ordered_json& object) const {
  print_out(json() ? object.dump() + "\n" : readable(object));
}

void Run::note(std::string_view line) const {
  if (!common_.quiet) fmt::print(stderr, "{}\n", line);
}

void Run::detail(std::string_view line) const {
  if (common_.verbose) note(line);
}

Progress Run::progress(std::string label, int64_t total) const {
  const auto style = common_.quiet           ? ProgressStyle::kNone
                     : isatty(STDERR_FILENO) ? ProgressStyle::kBar
                                             : ProgressStyle::kLines;
  return Progress(std::move(label), total, style);
}

}  // namespace moge
