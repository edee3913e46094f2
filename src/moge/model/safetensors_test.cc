// Files that are not what they say: each is refused with its name and the numbers.
#include "moge/model/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "moge/core/error.h"
#include "moge/model/load.h"

namespace moge {
namespace {
namespace fs = std::filesystem;

std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes + header + std::string(data_bytes, '\1');
}
std::string error_of(const std::string& bytes) {
  try {
    parse_safetensors(bytes, static_cast<int64_t>(bytes.size()), "a.safetensors");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
std::string entry(const char* name, const char* dtype, const char* shape, const char* offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}
#define EXPECT_REFUSED(bytes, part) \
  EXPECT_NE(error_of(bytes).find(part), std::string::npos) << error_of(bytes)

TEST(Safetensors, ReadsAHeader) {
  const std::string bytes =
      file_of("{\"__metadata__\":{\"format\":\"pt\"}," + entry("b", "BF16", "[2]", "[8,12]") + "," +
                  entry("a", "F32", "[1,2]", "[0,8]") + "}",
              12);
  const auto header = parse_safetensors(bytes, static_cast<int64_t>(bytes.size()), "a");
  ASSERT_EQ(header.entries.size(), 2u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[1].to_string(), "bfloat16 [2]");
}

TEST(Safetensors, RefusesMalformedFiles) {
  EXPECT_REFUSED("abc", "3 bytes are too few");
  EXPECT_REFUSED(file_of("{}", 0).substr(0, 9), "the header says it has 2 bytes, the file has 9");
  EXPECT_REFUSED(std::string(8, '\xff') + "{}", "the header says it has 18446744073709551615");
  EXPECT_REFUSED(file_of("[1]", 0), "not a JSON object");
  EXPECT_REFUSED(file_of("{\"a\":", 0), "not a JSON object");
  EXPECT_REFUSED(file_of("{\"a\":{}}", 0), "'a': must have dtype, shape and data_offsets");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[2]", "[0,16]") + "}", 8),
                 "data_offsets [0, 16] lie outside the file's 8 bytes");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[2]", "[8,0]") + "}", 8), "[8, 0]");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[3]", "[0,8]") + "}", 8),
                 "hold 8 bytes, float32 [3] needs 12");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[2]", "[0,8]") + "," +
                             entry("b", "F32", "[2]", "[4,12]") + "}",
                         12),
                 "'a' and 'b' overlap: bytes [0, 8] and [4, 12]");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[2]", "[4,12]") + "}", 12),
                 "bytes [0, 4] of the data belong to no tensor");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[2]", "[0,8]") + "}", 12), "bytes [8, 12]");
  EXPECT_REFUSED(file_of("{" + entry("a", "F8_E4M3", "[2]", "[0,2]") + "}", 2),
                 "dtype 'F8_E4M3' is not one that moge reads");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[-2]", "[0,8]") + "}", 8), "shape is -2");
  EXPECT_REFUSED(file_of("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,8]") + "}", 8),
                 "too large");
}

/// A small model in a folder of its own, removed at the end.
class Folder : public ::testing::Test {
 protected:
  Folder()
      : path_(fs::temp_directory_path() / fmt::format("moge_model_{}", ::getpid())),
        config_(small_config()),
        memory_(static_cast<size_t>(flat_size(list_params(config_))) * sizeof(float)),
        params_(view_params(config_, memory_.as<float>())) {
    init_params(threads_, config_, 3, params_);
    save_model(path_, config_, params_, DType::kF32);
  }
  ~Folder() override { fs::remove_all(path_); }

  static ModelConfig small_config() {
    ModelConfig c = preset_config("tiny");
    c.layers.resize(1);
    c.vocab_size = 40;
    return c;
  }
  std::vector<TensorToWrite> tensors() {
    std::vector<TensorToWrite> list;
    for_each_checkpoint_tensor(
        config_, params_, [&](const std::string& name, const Tensor& t, TensorKind) {
          list.push_back(
              {name,
               DType::kF32,
               {t.shape.begin(), t.shape.begin() + t.rank},
               [t](FileWriter& out) { out.write(t.data, static_cast<size_t>(t.bytes())); }});
        });
    return list;
  }
  /// Loads into other memory; the message of the error, "" if all is well.
  std::string load() {
    Buffer memory(memory_.size());
    try {
      load_params(threads_, find_model(path_.string()), 0,
                  view_params(config_, memory.as<float>()));
    } catch (const Error& error) {
      return error.what();
    }
    return std::memcmp(memory.data(), memory_.data(), memory.size()) ? "other values" : "";
  }
#define EXPECT_LOAD(part) EXPECT_NE(load().find(part), std::string::npos) << load()

  ThreadPool threads_{1};
  fs::path path_;
  ModelConfig config_;
  Buffer memory_;
  Params params_;
};

TEST_F(Folder, ReadsBackTheSameBits) { EXPECT_EQ(load(), ""); }

TEST_F(Folder, ReadsShards) {
  write_checkpoint(path_, tensors(), /*max_shard_bytes=*/100'000);
  EXPECT_FALSE(fs::exists(path_ / "model.safetensors"));
  EXPECT_TRUE(fs::exists(path_ / "model.safetensors.index.json"));
  EXPECT_EQ(load(), "");
  int removed = 0;
  for (const auto& entry : fs::directory_iterator(path_))
    if (entry.path().filename().string().starts_with("model-00002-of-"))
      removed += fs::remove(entry.path());
  EXPECT_EQ(removed, 1);
  EXPECT_LOAD("model-00002-of-");
}

TEST_F(Folder, RefusesMissingUnusedAndMisshapenTensors) {
  auto list = tensors();
  const auto last = list.back();
  list.pop_back();
  write_checkpoint(path_, list);
  EXPECT_LOAD("tensor 'lm_head.weight' is missing");
  list.push_back(last);
  list.push_back(last);
  list.back().name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  write_checkpoint(path_, list);
  EXPECT_EQ(load(), "") << "a known left-over";
  list.back().name = "model.layers.1.mlp.gate.weight";
  write_checkpoint(path_, list);
  EXPECT_LOAD("'model.layers.1.mlp.gate.weight' (float32 [40, 192]) is not used");
  list.pop_back();
  list.back().shape = {192, 40};
  write_checkpoint(path_, list);
  EXPECT_LOAD("'lm_head.weight' is float32 [192, 40], config.json wants [40, 192]");
  list.back().shape = {40, 192};
  list.back().dtype = DType::kI32;
  write_checkpoint(path_, list);
  EXPECT_LOAD("'lm_head.weight' is int32, want float32, bfloat16 or float16");
}

TEST_F(Folder, RefusesTruncatedFiles) {
  const auto file = path_ / "model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 1);
  EXPECT_LOAD("lie outside the file's");
  fs::resize_file(file, 4);
  EXPECT_LOAD("4 bytes are too few");
  fs::remove(file);
  EXPECT_LOAD("has neither model.safetensors nor model.safetensors.index.json");
}

TEST_F(Folder, ReadsExpertsThatAreStoredAsOneTensor) {
  std::vector<TensorToWrite> list;
  for (const ParamTensor& t : list_params(config_)) {
    const Tensor whole = tensor_of(params_, t);
    const auto write = [whole](FileWriter& out) {
      out.write(whole.data, static_cast<size_t>(whole.bytes()));
    };
    if (!t.fused_name.empty())
      list.push_back({t.fused_name, DType::kF32, t.shape, write});
    else
      for (const CheckpointPart& part : t.parts) {
        const Tensor view = part_of(params_, t, part);
        list.push_back({part.name, DType::kF32, part.shape, [view](FileWriter& out) {
                          out.write(view.data, static_cast<size_t>(view.bytes()));
                        }});
      }
  }
  write_checkpoint(path_, list);
  EXPECT_EQ(load(), "");
}

TEST_F(Folder, FollowsTheNewestIteration) {
  const fs::path run = path_.string() + "_run";
  fs::create_directories(run);
  fs::rename(path_, run / "iter_0000040");
  write_file(run / "latest_checkpointed_iteration.txt", "40\n");
  EXPECT_EQ(find_model(run.string()).folder, run / "iter_0000040");
  write_file(run / "latest_checkpointed_iteration.txt", "release\n");
  EXPECT_THROW(find_model(run.string()), Error);
  fs::remove_all(run);
  EXPECT_THROW(find_model("/no/such/model"), Error);
}

}  // namespace
}  // namespace moge
