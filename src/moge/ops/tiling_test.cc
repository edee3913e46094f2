// Tile sizes: what the file remembers, who may write it, and that no size changes a bit.
#include "moge/ops/tiling.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include "moge/core/files.h"

namespace moge {
namespace {

namespace fs = std::filesystem;

constexpr TileSizes kSmall = kTileCandidates[2], kLarge = kTileCandidates[4];

class TilingFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path path() const { return folder_ / "moge" / "tiling.json"; }

  fs::path folder_;
};

Weight shape(int64_t n, int64_t k, WeightFormat format = WeightFormat::kW8A8) {
  return {.format = format, .experts = 4, .n = n, .k = k};
}

TEST_F(TilingFile, RemembersByProcessorInstructionsFormatShapeAndRows) {
  TilingTable table("cpu", "avx2");
  table.set(shape(64, 32), 1, kSmall);
  table.set(shape(64, 32), 3, {});  // measured: what is built in is best
  table.write(path());
  TilingTable again("cpu", "avx2");
  EXPECT_EQ(again.read(path()), "");
  EXPECT_EQ(again.size(), 2u);
  ASSERT_NE(again.find(shape(64, 32), 1), nullptr);
  EXPECT_EQ(*again.find(shape(64, 32), 1), kSmall);
  EXPECT_EQ(*again.find(shape(64, 32), 3), TileSizes{});
  EXPECT_EQ(again.find(shape(64, 32), 0), nullptr);
  EXPECT_EQ(again.find(shape(32, 64), 1), nullptr);
  EXPECT_EQ(again.find(shape(64, 32, WeightFormat::kW4A8), 1), nullptr);
  Weight paired = shape(64, 32);
  paired.paired = true;
  EXPECT_EQ(again.find(paired, 1), nullptr);
  for (const auto& [cpu, isa] : {std::pair{"cpu", "avx512"}, std::pair{"other", "avx2"}}) {
    TilingTable other(cpu, isa);
    EXPECT_EQ(other.read(path()), "");
    EXPECT_EQ(other.size(), 0u);
  }
  Weight w = shape(64, 32);
  again.assign(w);
  EXPECT_EQ(w.tiles, (TileTable{TileSizes{}, kSmall, TileSizes{}, TileSizes{}}));
}

TEST_F(TilingFile, NoFileIsNoProblem) {
  TilingTable table("cpu", "avx2");
  EXPECT_EQ(table.read(path()), "");
  EXPECT_EQ(table.size(), 0u);
}

TEST_F(TilingFile, ADamagedFileIsNotUsedAndIsReplaced) {
  TilingTable table("cpu", "avx2");
  table.set(shape(64, 32), 0, kLarge);
  table.write(path());
  const std::string good = read_file(path());
  const std::string name = path().string();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", name + ": is not a table of tile sizes"},
      {good.substr(0, good.size() / 2), name + ": is not a table of tile sizes"},
      {"[1]", name + ": is not a table of tile sizes"},
      {R"({"tables":3})", name + ": is not a table of tile sizes"},
      {R"({"tables":{"cpu, avx2":[]}})", name + ": 'cpu, avx2' is not a table"},
      {R"({"tables":{"cpu, avx2":{"a":[1,2]}}})", name + ": 'a' has no sizes that can be used"},
      {R"({"tables":{"cpu, avx2":{"a":"x"}}})", name + ": 'a' has no sizes that can be used"},
      {std::string(2 << 20, ' '), name + ": larger than 1048576 bytes"}};
  for (const auto& [text, problem] : cases) {
    write_file(path(), text);
    TilingTable read("cpu", "avx2");
    EXPECT_EQ(read.read(path()), problem);
    table.write(path());
    EXPECT_EQ(read_file(path()), good);
  }
}

TEST_F(TilingFile, WritersAtOneTimeLoseNothing) {
  constexpr int kWriters = 4, kEach = 6;
  std::vector<std::thread> writers;
  for (int t = 0; t < kWriters; ++t)
    writers.emplace_back([&, t] {
      TilingTable table("cpu", t % 2 ? "avx2" : "avx512");
      for (int i = 0; i < kEach; ++i) {
        table.set(shape(8 * t + 8, i + 1), 0, kSmall);
        table.write(path());
      }
    });
  for (std::thread& writer : writers) writer.join();
  for (const char* isa : {"avx2", "avx512"}) {
    TilingTable table("cpu", isa);
    EXPECT_EQ(table.read(path()), "");
    EXPECT_EQ(table.size(), size_t{kWriters * kEach / 2});
  }
}

TEST_F(TilingFile, AFolderThatCannotBeMadeIsAnError) {
  write_file(folder_ / "moge", "a file where the folder should be");
  EXPECT_THROW(TilingTable("cpu", "avx2").write(path()), Error);
}

struct Machine {
  explicit Machine(const kernels::Table& table, int threads)
      : pool(threads), arena(size_t{64} << 20), context{pool, table, arena} {}
  ThreadPool pool;
  Arena arena;
  Context context;
};

/// Random packed weights.
struct Packed {
  Packed(const Context& context, WeightFormat format, int64_t E, int64_t N, int64_t K) {
    weight = {.format = format, .experts = E, .n = N, .k = K};
    memory = Buffer(static_cast<size_t>(packed_bytes(context.kernels, weight)));
    weight.data = memory.data();
    std::minstd_rand random(3);
    std::vector<int8_t> values(N * K);
    std::vector<uint32_t> words(N * ((K + 7) / 8));
    for (int8_t& v : values) v = static_cast<int8_t>(random() >> 8);
    for (uint32_t& w : words) w = static_cast<uint32_t>(random()) * 2654435761u;
    const std::vector<float> scales(N, 0.01f);
    const std::vector<BFloat16> group_scales(N * ((K + 127) / 128), BFloat16(0.01f));
    for (int64_t e = 0; e < E; ++e)
      if (format == WeightFormat::kW8A8)
        pack_rows(context, weight, e, 0, Int8Rows{N, values.data(), scales.data()}, memory.data());
      else
        pack_rows(context, weight, e, 0, Int4Rows{N, words.data(), group_scales.data()},
                  memory.data());
  }
  Weight weight;
  Buffer memory;
};

class TilingTest : public ::testing::TestWithParam<const kernels::Table*> {};
INSTANTIATE_TEST_SUITE_P(Isa, TilingTest, ::testing::ValuesIn(kernels::available_tables()),
                         [](const auto& info) { return std::string(info.param->isa); });

TEST_P(TilingTest, NoSizesChangeABit) {
  Machine one(*GetParam(), 1), two(*GetParam(), 2);
  const bool scalar = std::string(GetParam()->isa) == "scalar";
  // Slices of 160 KiB cut the first, blocks of 256 KiB of rows the second.
  const std::vector<std::array<int64_t, 3>> shapes = {{30, 288, 1024},
                                                      {scalar ? 90 : 320, 40, 4096}};
  for (const auto format : {WeightFormat::kW8A8, WeightFormat::kW4A8})
    for (const auto& [R, N, K] : shapes) {
      Packed w(one.context, format, 1, N, K);
      std::vector<float> x(R * K);
      std::minstd_rand random(4);
      for (float& v : x) v = static_cast<float>(random() % 2001) - 1000.0f;
      const auto forward = [&](const Context& context, TileSizes sizes) {
        w.weight.tiles.fill(sizes);
        std::vector<float> y(R * N);
        linear_forward(context, Tensor::of(x.data(), {R, K}), w.weight, {}, {},
                       Tensor::of(y.data(), {R, N}));
        EXPECT_LE(context.scratch.high_water(), linear_scratch_bytes(context, R, 1, N, K));
        return y;
      };
      const auto want = forward(one.context, {});
      for (const TileSizes& sizes : kTileCandidates)
        for (const Context* context : {&one.context, &two.context})
          ASSERT_EQ(forward(*context, sizes), want) << sizes.slice_kb << " " << sizes.block_kb;
    }
}

TEST_P(TilingTest, TuneMeasuresWhatIsNotKnownOnce) {
  Machine m(*GetParam(), 2);
  Packed w(m.context, WeightFormat::kW4A8, 2, 32, 64);
  TilingTable table("cpu", "isa");
  table.set(w.weight, 1, kLarge);
  EXPECT_EQ(tune(m.context, table, w.weight, /*most_rows=*/64), 2);
  EXPECT_EQ(w.weight.tiles[1], kLarge);
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(tune(m.context, table, w.weight, 64), 0);
  EXPECT_EQ(tune(m.context, table, w.weight, 64, /*again=*/true), 3);
  Weight floats;
  EXPECT_EQ(tune(m.context, table, floats, 64), 0);
  EXPECT_EQ(m.arena.used(), 0u);
}

}  // namespace
}  // namespace moge
