#include "progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace moge {

namespace {

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string progress_line(std::string_view label, int64_t done, int64_t total, double seconds,
                          std::string_view extra, int columns) {
  constexpr int kBar = 24;
  const double part = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0;
  const int filled = static_cast<int>(std::clamp(part, 0.0, 1.0) * kBar);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = fmt::format("{} [{:#<{}}{:.<{}}] {}/{} {:.0f}% {:.3g}/s", label, "", filled,
                                 "", kBar - filled, done, total, 100 * part, rate);
  if (rate > 0) line += " " + clock_text(static_cast<double>(total - done) / rate) + " left";
  if (!extra.empty()) line += fmt::format(" {}", extra);
  if (columns > 0 && line.size() > static_cast<size_t>(columns))
    line.resize(static_cast<size_t>(columns));
  return line;
}

Progress::Progress(std::string label, int64_t total, ProgressStyle style)
    : label_(std::move(label)), total_(total), style_(style), start_(Clock::now()), last_(start_) {}

Progress::~Progress() {
  if (style_ == ProgressStyle::kNone || done_ == drawn_) {
    if (style_ == ProgressStyle::kBar && drawn_ >= 0) std::fputc('\n', stderr);
    return;
  }
  draw();
  if (style_ == ProgressStyle::kBar) std::fputc('\n', stderr);
}

void Progress::update(int64_t done, std::string_view extra) {
  done_ = done;
  if (style_ == ProgressStyle::kNone) return;
  extra_ = extra;
  const auto gap = style_ == ProgressStyle::kBar ? std::chrono::milliseconds(100)
                                                 : std::chrono::milliseconds(5000);
  if (Clock::now() - last_ >= gap) draw();
}

void Progress::clear() {
  if (style_ == ProgressStyle::kBar && drawn_ >= 0) fmt::print(stderr, "\r\033[K");
}

void Progress::draw() {
  last_ = Clock::now();
  drawn_ = done_;
  const double seconds = std::chrono::duration<double>(last_ - start_).count();
  const bool bar = style_ == ProgressStyle::kBar;
  const std::string line =
      progress_line(label_, done_, total_, seconds, extra_, bar ? terminal_columns() - 1 : 0);
  fmt::print(stderr, "{}{}{}", bar ? "\r" : "", line, bar ? "\033[K" : "\n");
  std::fflush(stderr);
}

}  // namespace moge
