#include "moge/train/checkpoint.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/core/mapped_file.h"
#include "moge/model/load.h"
#include "moge/model/safetensors.h"

namespace moge::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kStateFolder = "training_state";
constexpr const char* kMaster = "master.safetensors";
constexpr const char* kExpAvg = "exp_avg.safetensors";
constexpr const char* kExpAvgSq = "exp_avg_sq.safetensors";
constexpr std::array kTokenizerFiles = {"tokenizer.json",        "tokenizer.model",
                                        "tokenizer_config.json", "special_tokens_map.json",
                                        "chat_template.jinja",   "generation_config.json"};

std::string sha256_of(const fs::path& path) {
  const MappedFile file(path);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  check(EVP_Digest(file.bytes().data(), file.bytes().size(), digest.data(), &length, EVP_sha256(),
                   nullptr) == 1,
        "{}: SHA-256 failed", path.string());
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

/// Every checkpoint tensor of `params` in fp32 under its own name.
void write_params(const fs::path& path, const TrainState& state, const Params& params) {
  std::vector<TensorToWrite> tensors;
  for (const ParamTensor& tensor : state.list())
    for (const CheckpointPart& part : tensor.parts) {
      const Tensor view = part_of(params, tensor, part);
      tensors.push_back({.name = part.name,
                         .dtype = DType::kF32,
                         .shape = part.shape,
                         .write = [view](FileWriter& out) {
                           out.write(view.data, static_cast<size_t>(view.bytes()));
                         }});
    }
  write_safetensors(path, tensors);
}

void read_params(const fs::path& path, const TrainState& state, const Params& params) {
  const Checkpoint file = Checkpoint::open_file(path);
  size_t used = 0;
  for (const ParamTensor& tensor : state.list())
    for (const CheckpointPart& part : tensor.parts) {
      const StoredTensor* stored = file.find(part.name);
      check(stored != nullptr, "{}: tensor '{}' is missing", path.string(), part.name);
      check(stored->entry.shape == part.shape && stored->entry.dtype == DType::kF32,
            "{}: tensor '{}' is {}, which is not what the model has", path.string(), part.name,
            stored->entry.to_string());
      read_elements(*stored, 0, part.numel, part_of(params, tensor, part).as<float>());
      ++used;
    }
  check(used == file.tensors().size(), "{}: {} tensors, the model has {}", path.string(),
        file.tensors().size(), used);
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  if (from.empty()) return;
  for (const char* name : kTokenizerFiles)
    if (fs::exists(from / name) && !fs::exists(to / name))
      write_file(to / name, read_file(from / name));
}

/// Size and SHA-256 of every file of the checkpoint, by path relative to it.
json checksums(const fs::path& folder) {
  json files = json::object();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), folder).string()] = {{"bytes", entry.file_size()},
                                                          {"sha256", sha256_of(entry.path())}};
  }
  return files;
}

void verify(const fs::path& folder, const json& files, const std::string& where) {
  check(files.is_object(), "{}: files is not an object", where);
  for (const auto& [name, facts] : files.items()) {
    const fs::path path = folder / name;
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    check(!error, "{}: is missing, {} lists it", path.string(), where);
    const json want = {{"bytes", bytes}, {"sha256", sha256_of(path)}};
    check(facts == want, "{}: has {} bytes and SHA-256 {}, {} says {}", path.string(), bytes,
          want["sha256"].get<std::string>(), where, facts.dump());
  }
}

}  // namespace

fs::path save_checkpoint(const fs::path& save, const TrainState& state, const CheckpointInfo& info,
                         const fs::path& tokenizer_folder) {
  CheckpointWriter writer(save, info.iteration);
  const fs::path folder = writer.path(), state_folder = folder / kStateFolder;
  const DType dtype = state.bf16() ? DType::kBF16 : DType::kF32;
  save_model(folder, state.config(), state.weights(), dtype);
  copy_tokenizer(tokenizer_folder, folder);
  fs::create_directories(state_folder);
  if (state.bf16()) write_params(state_folder / kMaster, state, state.weights());
  if (info.has_optimizer) {
    write_params(state_folder / kExpAvg, state, state.exp_avg());
    write_params(state_folder / kExpAvgSq, state, state.exp_avg_sq());
  }
  const json facts = {{"iteration", info.iteration},
                      {"consumed_train_samples", info.consumed_samples},
                      {"optimizer", info.has_optimizer},
                      {"arguments", json::parse(info.arguments_json)},
                      {"files", checksums(folder)}};
  write_file(state_folder / "state.json", facts.dump(2) + "\n");
  writer.publish();
  return checkpoint_path(save, info.iteration);
}

CheckpointInfo read_checkpoint_info(const fs::path& folder) {
  const std::string where = (folder / kStateFolder / "state.json").string();
  const json facts = json::parse(read_file(where, 64 << 20), nullptr, /*allow_exceptions=*/false);
  check(facts.is_object() && facts.contains("iteration") &&
            facts["iteration"].is_number_integer() && facts.contains("files"),
        "{}: is not a training state", where);
  verify(folder, facts["files"], where);
  try {
    return {.iteration = facts["iteration"].get<int64_t>(),
            .consumed_samples = facts.value("consumed_train_samples", int64_t{0}),
            .arguments_json = facts.value("arguments", json::object()).dump(),
            .has_optimizer = facts.value("optimizer", false)};
  } catch (const json::exception& error) {
    fail("{}: {}", where, error.what());
  }
}

void load_checkpoint(ThreadPool& threads, const fs::path& folder, bool with_optimizer,
                     TrainState& state) {
  const fs::path state_folder = folder / kStateFolder;
  if (fs::exists(state_folder / kMaster))
    read_params(state_folder / kMaster, state, state.weights());
  else
    load_params(threads, find_model(folder.string()), 0, state.weights());
  if (!with_optimizer) return;
  read_params(state_folder / kExpAvg, state, state.exp_avg());
  read_params(state_folder / kExpAvgSq, state, state.exp_avg_sq());
}

}  // namespace moge::train
