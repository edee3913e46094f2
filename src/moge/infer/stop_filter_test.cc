#include "moge/infer/stop_filter.h"

#include <gtest/gtest.h>

#include "moge/core/error.h"

namespace moge::infer {
namespace {

/// All that comes out when `text` arrives in pieces of `step` bytes.
std::string run(StopFilter filter, std::string_view text, size_t step) {
  std::string out;
  for (size_t i = 0; i < text.size(); i += step) out += filter.push(text.substr(i, step));
  return out + filter.flush();
}

TEST(StopFilter, CutsBeforeTheEarliestStopHoweverTheTextArrives) {
  const std::vector<std::string> stops = {"END", "####", "\n\n"};
  for (size_t step = 1; step <= 16; ++step) {
    EXPECT_EQ(run(StopFilter(stops), "answer 42 #### 42\n\nEND", step), "answer 42 ");
    EXPECT_EQ(run(StopFilter(stops), "no stop here #", step), "no stop here #");
    EXPECT_EQ(run(StopFilter(stops), "EN EN END", step), "EN EN ");
  }
}

TEST(StopFilter, HoldsBackOnlyWhatCouldBecomeAStop) {
  StopFilter filter({"stop"});
  EXPECT_EQ(filter.push("a st"), "a ");
  EXPECT_EQ(filter.push("x"), "stx");
  EXPECT_EQ(filter.push("sto"), "");
  EXPECT_EQ(filter.push("p it"), "");
  EXPECT_EQ(filter.met(), "stop");
  EXPECT_EQ(filter.push("more"), "");
  EXPECT_EQ(filter.flush(), "");
}

TEST(StopFilter, WithoutStopsNothingWaits) {
  StopFilter filter({});
  EXPECT_EQ(filter.push("text"), "text");
  EXPECT_TRUE(filter.met().empty());
  EXPECT_THROW(StopFilter({""}), Error);
}

}  // namespace
}  // namespace moge::infer
