#include "moge/core/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "moge/core/error.h"

namespace moge {

namespace {
constexpr size_t kBufferBytes = size_t{1} << 20;
}

std::string read_file(const std::filesystem::path& path, int64_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(fd >= 0, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  std::string text;
  char block[1 << 16];
  ssize_t got = 0;
  while ((got = read(fd, block, sizeof(block))) > 0) {
    text.append(block, static_cast<size_t>(got));
    if (static_cast<int64_t>(text.size()) > max_bytes) break;
  }
  const int reason = errno;
  close(fd);
  check(got >= 0, "{}: cannot be read: {}", path.string(), std::strerror(reason));
  check(static_cast<int64_t>(text.size()) <= max_bytes, "{}: larger than {} bytes", path.string(),
        max_bytes);
  return text;
}

FileWriter::FileWriter(std::filesystem::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += ".tmp" + std::to_string(getpid());
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  check(fd_ >= 0, "{}: cannot be created: {}", temporary_.string(), std::strerror(errno));
  buffer_.reserve(kBufferBytes);
}

FileWriter::~FileWriter() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void FileWriter::write(const void* data, size_t bytes) {
  buffer_.append(static_cast<const char*>(data), bytes);
  bytes_ += static_cast<int64_t>(bytes);
  if (buffer_.size() >= kBufferBytes) flush();
}

void FileWriter::flush() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t put = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    check(put > 0 || errno == EINTR, "{}: cannot be written after {} bytes: {}", path_.string(),
          bytes_ - static_cast<int64_t>(buffer_.size() - done), std::strerror(errno));
    if (put > 0) done += static_cast<size_t>(put);
  }
  buffer_.clear();
}

void FileWriter::commit() {
  flush();
  check(fsync(fd_) == 0, "{}: cannot be written to disk: {}", path_.string(), std::strerror(errno));
  check(rename(temporary_.c_str(), path_.c_str()) == 0, "{}: cannot be renamed: {}", path_.string(),
        std::strerror(errno));
  close(std::exchange(fd_, -1));
  sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  FileWriter writer(path);
  writer.write(text);
  writer.commit();
}

void sync_folder(const std::filesystem::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(fd >= 0, "{}: cannot be opened: {}", folder.string(), std::strerror(errno));
  fsync(fd);
  close(fd);
}

}  // namespace moge
