// Progress of a long command on stderr: a redrawn bar on a terminal, else a line every few seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace moge {

enum class ProgressStyle { kNone, kBar, kLines };

/// One line: "train [######......] 60/100 60% 12.3/s 0:04 left loss 2.31".
std::string progress_line(std::string_view label, int64_t done, int64_t total, double seconds,
                          std::string_view extra, int columns);

class Progress {
 public:
  Progress(std::string label, int64_t total, ProgressStyle style);
  ~Progress();  ///< draws the last state and ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of the total; `extra` is shown after the time left. Cheap enough for every step.
  void update(int64_t done, std::string_view extra = {});
  /// Takes the bar off the line so that a log line may be printed; the next update redraws it.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void draw();

  std::string label_, extra_;
  int64_t total_, done_ = 0, drawn_ = -1;
  ProgressStyle style_;
  Clock::time_point start_, last_;
};

}  // namespace moge
