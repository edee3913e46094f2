#include "moge/infer/kv_pages.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "moge/core/error.h"
#include "moge/core/rng.h"

namespace moge::infer {
namespace {

std::vector<int32_t> counting(int64_t count, int32_t from = 0) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), from);
  return ids;
}

TEST(PagePool, HandsOutTheLowestFreePageAndRefusesBeyondTheLast) {
  PagePool pool(3, 32);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 1);
  pool.release(0);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_THROW(pool.take(), Error);
  EXPECT_THROW(PagePool(0, 32), Error);
  EXPECT_THROW(PagePool(1, 0), Error);
}

TEST(PagePool, APageIsFreeWhenItsLastHolderLetsGo) {
  PagePool pool(2, 4);
  const int32_t page = pool.take();
  pool.hold(page);
  pool.release(page);
  EXPECT_EQ(pool.num_used(), 1);
  pool.release(page);
  EXPECT_EQ(pool.num_used(), 0);
}

TEST(PagePool, FindsWhatAFreePageStillHoldsUntilItIsTakenAgain) {
  PagePool pool(2, 4);
  const auto ids = counting(4);
  const int32_t page = pool.take();
  const BlockName name = pool.publish(page, 0, ids, "");
  pool.release(page);
  EXPECT_EQ(pool.find(0, ids, ""), page);
  EXPECT_EQ(pool.find(0, counting(4, 1), ""), -1);
  EXPECT_EQ(pool.find(0, ids, "salt"), -1);
  EXPECT_EQ(pool.find(name, ids, ""), -1);  // the same tokens elsewhere
  pool.hold(page);
  EXPECT_EQ(pool.num_free(), 1);
  pool.release(page);
  EXPECT_NE(pool.take(), page);  // the empty one first
  EXPECT_EQ(pool.take(), page);
  EXPECT_EQ(pool.find(0, ids, ""), -1);
}

TEST(PagePool, TheContentUsedLongestAgoGoesFirst) {
  PagePool pool(3, 2);
  const std::vector<std::vector<int32_t>> contents = {{1, 1}, {2, 2}, {3, 3}};
  std::vector<int32_t> pages;
  for (const auto& ids : contents) {
    pages.push_back(pool.take());
    pool.publish(pages.back(), 0, ids, "");
  }
  for (int32_t page : pages) pool.release(page);
  pool.hold(pages[0]);  // used again
  pool.release(pages[0]);
  EXPECT_EQ(pool.take(), pages[1]);
  EXPECT_EQ(pool.take(), pages[2]);
  EXPECT_EQ(pool.find(0, contents[0], ""), pages[0]);
  EXPECT_EQ(pool.take(), pages[0]);
}

TEST(PagePool, OneContentHasOneName) {
  PagePool pool(2, 2);
  const std::vector<int32_t> ids = {1, 2};
  const int32_t first = pool.take(), second = pool.take();
  const BlockName name = pool.publish(first, 0, ids, "");
  EXPECT_EQ(pool.publish(second, 0, ids, ""), name);
  EXPECT_EQ(pool.find(0, ids, ""), first);
}

TEST(PagePool, ForgetsAll) {
  PagePool pool(3, 2);
  const int32_t held = pool.take(), free = pool.take();
  pool.publish(held, 0, std::vector<int32_t>{1, 2}, "");
  pool.publish(free, 0, std::vector<int32_t>{3, 4}, "");
  pool.release(free);
  pool.forget_all();
  EXPECT_EQ(pool.find(0, std::vector<int32_t>{1, 2}, ""), -1);
  EXPECT_EQ(pool.find(0, std::vector<int32_t>{3, 4}, ""), -1);
  EXPECT_EQ(pool.num_free(), 2);
  pool.release(held);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.take(), i);
}

TEST(PagePool, WithoutPrefixesNothingIsFound) {
  PagePool pool(1, 2, /*keeps_prefixes=*/false);
  EXPECT_EQ(pool.publish(pool.take(), 0, std::vector<int32_t>{1, 2}, ""), 0u);
  EXPECT_EQ(pool.find(0, std::vector<int32_t>{1, 2}, ""), -1);
}

TEST(PageTable, HoldsExactlyThePagesOfItsPositions) {
  PagePool pool(10, 32);
  PageTable table(pool);
  EXPECT_EQ(table.pages_to_hold(0), 0);
  EXPECT_EQ(table.pages_to_hold(33), 2);
  table.grow(33);
  EXPECT_EQ(table.pages_to_hold(64), 0);
  table.grow(65);
  EXPECT_EQ(std::set<int32_t>(table.pages().begin(), table.pages().end()).size(), 3u);
  PageTable moved = std::move(table);
  EXPECT_EQ(pool.num_free(), 7);
  moved.clear();
  EXPECT_EQ(pool.num_free(), 10);
}

TEST(PageTable, SharesTheFullPagesOfACommonBeginning) {
  PagePool pool(10, 4);
  const auto ids = counting(11);
  PageTable first(pool);
  first.grow(11);
  first.publish(ids, 11, "");  // two pages are full
  auto other = ids;
  other[9] = 99;
  PageTable second(pool);
  EXPECT_EQ(second.reuse(other, 0, 10, ""), 8);
  EXPECT_EQ(pool.num_used(), 3);
  EXPECT_EQ(second.pages()[1], first.pages()[1]);
  second.clear();
  EXPECT_EQ(pool.num_used(), 3);
  EXPECT_EQ(second.reuse(other, 0, 7, ""), 4);  // within the limit
  EXPECT_EQ(second.reuse(other, 4, 10, ""), 8);
  EXPECT_EQ(second.reuse(other, 8, 10, ""), 8);
  PageTable salted(pool);
  EXPECT_EQ(salted.reuse(ids, 0, 10, "mine"), 0);
}

TEST(PageTable, AnEndIsForgottenBeforeItsBeginning) {
  PagePool pool(3, 4);
  const auto ids = counting(12);
  PageTable table(pool);
  table.grow(12);
  table.publish(ids, 12, "");
  table.clear();
  pool.take();
  EXPECT_EQ(table.reuse(ids, 0, 12, ""), 8);
}

/// Against a plain model of who holds what.
TEST(PagePool, ReferencesAddUpOverRandomUse) {
  constexpr int64_t kPages = 24, kTokens = 2;
  PagePool pool(kPages, kTokens);
  std::vector<PageTable> tables;
  for (int i = 0; i < 6; ++i) tables.emplace_back(pool);
  std::vector<int64_t> lengths(6, 0);
  Rng rng(1, "pages");
  const auto history = [&](size_t) { return std::vector<int32_t>(16, 7); };  // all the same
  for (int round = 0; round < 5000; ++round) {
    const auto t = static_cast<size_t>(rng.below(6));
    PageTable& table = tables[t];
    const auto ids = history(t);
    if (rng.below(3) == 0 || lengths[t] >= 15) {
      table.clear();
      lengths[t] = 0;
      continue;
    }
    if (lengths[t] % kTokens == 0) lengths[t] = table.reuse(ids, lengths[t], 15, "");
    const int64_t next = lengths[t] + 1 + static_cast<int64_t>(rng.below(2));
    if (table.pages_to_hold(next) > pool.num_free()) continue;
    table.grow(next);
    table.publish(ids, next, "");
    lengths[t] = next;
    std::set<int32_t> held;
    for (const PageTable& each : tables) held.insert(each.pages().begin(), each.pages().end());
    ASSERT_EQ(static_cast<int64_t>(held.size()), pool.num_used());
  }
  for (PageTable& table : tables) table.clear();
  EXPECT_EQ(pool.num_free(), kPages);
}

}  // namespace
}  // namespace moge::infer
