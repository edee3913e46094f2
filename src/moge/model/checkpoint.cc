// safetensors files in memory, single or as shards with an index.

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "moge/core/error.h"
#include "moge/model/safetensors.h"

namespace moge {

namespace {
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
}  // namespace

void Checkpoint::add_file(const std::filesystem::path& path) {
  files_.push_back(std::make_unique<MappedFile>(path));
  const auto raw = files_.back()->bytes();
  const std::span bytes(reinterpret_cast<const char*>(raw.data()), raw.size());
  const auto header = parse_safetensors(bytes, static_cast<int64_t>(bytes.size()), path.string());
  for (const SafetensorsEntry& entry : header.entries) {
    const char* data = bytes.data() + header.data_offset + entry.begin;
    const auto [other, is_new] =
        tensors_.emplace(entry.name, StoredTensor{entry, data, path.string()});
    check(is_new, "{}: tensor '{}' is also in {}", path.string(), entry.name, other->second.file);
  }
}

Checkpoint Checkpoint::open_file(const std::filesystem::path& path) {
  Checkpoint checkpoint;
  checkpoint.where_ = path.string();
  checkpoint.add_file(path);
  return checkpoint;
}

namespace {
/// File names in the index, each a plain name inside the folder.
std::map<std::string, std::string> read_index(const std::filesystem::path& path) {
  const std::string text = read_file(path, int64_t{256} << 20);
  const auto index = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  check(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(),
        "{}: has no weight_map", path.string());
  std::map<std::string, std::string> map;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    check(file.is_string(), "{}: the file of '{}' is not a name", path.string(), tensor);
    const std::string name = file.get<std::string>();
    check(!name.empty() && name.find('/') == std::string::npos && name != "..",
          "{}: '{}' is not a file of this folder", path.string(), name);
    map.emplace(tensor, name);
  }
  return map;
}
}  // namespace

Checkpoint Checkpoint::open_folder(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / kSingle)) return open_file(folder / kSingle);
  check(std::filesystem::exists(folder / kIndex), "{}: has neither {} nor {}", folder.string(),
        kSingle, kIndex);
  Checkpoint checkpoint;
  checkpoint.where_ = folder.string();
  const auto index = read_index(folder / kIndex);
  std::set<std::string> files;
  for (const auto& [tensor, file] : index) files.insert(file);
  for (const std::string& file : files) checkpoint.add_file(folder / file);
  for (const auto& [tensor, file] : index) {
    const StoredTensor* found = checkpoint.find(tensor);
    check(found && found->file == (folder / file).string(), "{}: '{}' is not in {}",
          (folder / kIndex).string(), tensor, file);
  }
  return checkpoint;
}

const StoredTensor* Checkpoint::find(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

namespace {
constexpr size_t kAlignment = 8;

const char* safetensors_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kBF16:
      return "BF16";
    case DType::kF16:
      return "F16";
    case DType::kF64:
      return "F64";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kI16:
      return "I16";
    case DType::kU16:
      return "U16";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
  }
  return "";
}

int64_t bytes_of(const TensorToWrite& tensor) {
  int64_t bytes = size_of(tensor.dtype);
  for (int64_t d : tensor.shape) bytes *= d;
  return bytes;
}

std::string header_of(std::span<const TensorToWrite> tensors) {
  nlohmann::ordered_json header;
  header["__metadata__"]["format"] = "pt";
  int64_t at = 0;
  for (const TensorToWrite& t : tensors) {
    const int64_t end = at + bytes_of(t);
    header[t.name] = {
        {"dtype", safetensors_name(t.dtype)}, {"shape", t.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  return text;
}
}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors) {
  const std::string header = header_of(tensors);
  const uint64_t length = header.size();
  FileWriter out(path);
  out.write(&length, sizeof(length));
  out.write(header);
  for (const TensorToWrite& t : tensors) {
    const int64_t before = out.bytes_written();
    t.write(out);
    check(out.bytes_written() - before == bytes_of(t), "{}: '{}' wrote {} bytes, want {}",
          path.string(), t.name, out.bytes_written() - before, bytes_of(t));
  }
  out.commit();
}

void write_checkpoint(const std::filesystem::path& folder, std::span<const TensorToWrite> tensors,
                      int64_t max_shard_bytes) {
  std::vector<std::span<const TensorToWrite>> shards;
  int64_t total = 0, filled = 0;
  size_t begin = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int64_t bytes = bytes_of(tensors[i]);
    if (filled > 0 && filled + bytes > max_shard_bytes) {
      shards.push_back(tensors.subspan(begin, i - begin));
      begin = i;
      filled = 0;
    }
    filled += bytes;
    total += bytes;
  }
  shards.push_back(tensors.subspan(begin));
  if (shards.size() == 1) {
    write_safetensors(folder / kSingle, tensors);
    std::filesystem::remove(folder / kIndex);
    return;
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total;
  for (size_t s = 0; s < shards.size(); ++s) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, shards.size());
    write_safetensors(folder / name, shards[s]);
    for (const TensorToWrite& t : shards[s]) index["weight_map"][t.name] = name;
  }
  write_file(folder / kIndex, index.dump(2) + "\n");
  std::filesystem::remove(folder / kSingle);
}

}  // namespace moge
