#include "moge/infer/kv_pages.h"

#include <gtest/gtest.h>

#include <set>

#include "moge/core/error.h"

namespace moge::infer {
namespace {

TEST(PagePool, HandsOutTheLowestFreePageAndRefusesBeyondTheLast) {
  PagePool pool(3);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 1);
  pool.give_back(0);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_THROW(pool.take(), Error);
  EXPECT_THROW(PagePool(0), Error);
}

TEST(PageTable, HoldsExactlyThePagesOfItsPositions) {
  PagePool pool(10);
  PageTable table(pool, 32);
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

}  // namespace
}  // namespace moge::infer
