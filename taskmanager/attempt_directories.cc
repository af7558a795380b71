#include "taskmanager/attempt_directories.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "fmt/format.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr int kLevels = 4;  // job, vertex, subtask, attempt

struct Found {
  fs::file_time_type modified;
  std::string path;
};

void FindAttempts(const fs::path& directory, int levels, std::vector<Found>* found) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->is_symlink(error) || !it->is_directory(error)) continue;
    if (levels > 1) {
      FindAttempts(it->path(), levels - 1, found);
    } else {
      found->push_back({it->last_write_time(error), it->path().string()});
    }
  }
}

absl::StatusOr<LogChunk> ReadOpenFile(int fd, uint64_t offset, uint32_t limit) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) return Unavailable("fstat: {}", std::strerror(errno));
  LogChunk chunk;
  chunk.size = static_cast<uint64_t>(stat.st_size);
  if (offset >= chunk.size) return chunk;
  chunk.content.resize(std::min<uint64_t>(limit, chunk.size - offset));
  const ssize_t n =
      pread(fd, chunk.content.data(), chunk.content.size(), static_cast<off_t>(offset));
  if (n < 0) return Unavailable("read: {}", std::strerror(errno));
  chunk.content.resize(static_cast<size_t>(n));
  return chunk;
}

}  // namespace

AttemptDirectories::AttemptDirectories(std::string root, size_t kept_attempts)
    : root_(std::move(root)), kept_attempts_(kept_attempts) {
  FindEnded();
  Prune();
}

absl::StatusOr<LogChunk> AttemptDirectories::ReadLog(const ExecutionAttemptId& id,
                                                     const std::string& stream, uint64_t offset,
                                                     uint32_t limit) const {
  if (stream != "stdout" && stream != "stderr") {
    return InvalidArgument("a task has stdout and stderr, not '{}'", stream);
  }
  const std::string directory = id.epoch == Epoch{} ? NewestPathOf(id) : PathOf(id);
  const int fd = open((directory + "/" + stream).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    // The file comes with the first byte.
    if (errno == ENOENT && access(directory.c_str(), F_OK) == 0) return LogChunk{};
    return NotFound("there is no log of attempt {} (any more)", id.ToString());
  }
  auto chunk = ReadOpenFile(fd, offset, std::min(limit, kMaxReadBytes));
  close(fd);
  return chunk;
}

void AttemptDirectories::AddEnded(const ExecutionAttemptId& id) {
  ended_.push_back(PathOf(id));
  Prune();
}

std::string AttemptDirectories::NewestPathOf(const ExecutionAttemptId& id) const {
  const fs::path subtask = fs::path(PathOf(id)).parent_path();
  const std::string prefix = fmt::format("{}-e", id.attempt);
  uint64_t newest = 0;
  std::error_code error;
  for (fs::directory_iterator it(subtask, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    uint64_t epoch = 0;
    const char* last = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), last, epoch);
    if (parsed.ec == std::errc() && parsed.ptr == last) newest = std::max(newest, epoch);
  }
  ExecutionAttemptId found = id;
  found.epoch = Epoch{newest};
  return PathOf(found);
}

std::string AttemptDirectories::PathOf(const ExecutionAttemptId& id) const {
  return root_ + "/" + id.ToString();
}

void AttemptDirectories::FindEnded() {
  std::vector<Found> found;
  FindAttempts(root_, kLevels, &found);
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::tie(a.modified, a.path) < std::tie(b.modified, b.path);
  });
  for (Found& attempt : found) ended_.push_back(std::move(attempt.path));
}

void AttemptDirectories::Prune() {
  while (ended_.size() > kept_attempts_) {
    Remove(ended_.front());
    ended_.pop_front();
  }
}

void AttemptDirectories::Remove(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) log::Warning("cannot remove an old task directory path={}: {}", path, error.message());
  // Parents as far as they are empty; rmdir refuses the others.
  fs::path parent = fs::path(path).parent_path();
  for (int level = 1; level < kLevels && rmdir(parent.c_str()) == 0; ++level) {
    parent = parent.parent_path();
  }
}

}  // namespace baton
