#include "taskmanager/guardian/log_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fmt/format.h"

namespace baton::guardian {
namespace {

constexpr size_t kPortionBytes = 64 << 10;
// A pipe holds at most this much; more means that somebody still writes.
constexpr int kMaxPortionsAtEnd = 64;

}  // namespace

LogPipe::LogPipe(int pipe, std::string path, uint64_t max_bytes)
    : pipe_(pipe), path_(std::move(path)), max_bytes_(max_bytes) {}

LogPipe::~LogPipe() {
  close(pipe_);
  if (file_ >= 0) close(file_);
}

LogPipe::Result LogPipe::Pump() {
  char portion[kPortionBytes];
  const ssize_t n = read(pipe_, portion, sizeof portion);
  if (n > 0) {
    Write(portion, static_cast<size_t>(n));
    return Result::kMore;
  }
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? Result::kEmpty : Result::kEnded;
}

void LogPipe::Drain() {
  for (int i = 0; i < kMaxPortionsAtEnd && Pump() == Result::kMore; ++i) {
  }
}

void LogPipe::Write(const char* bytes, size_t size) {
  if (discarding_) return;
  if (file_ < 0) file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const size_t room = static_cast<size_t>(std::min<uint64_t>(size, max_bytes_ - written_));
  WriteToFile(bytes, room);
  if (room == size || discarding_) return;
  const std::string note =
      fmt::format("\n[baton: cut off, a log may have {} bytes (task.log.max-bytes)]\n", max_bytes_);
  WriteToFile(note.data(), note.size());
  discarding_ = true;
}

void LogPipe::WriteToFile(const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = write(file_, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      discarding_ = true;
      return;
    }
    bytes += n;
    size -= static_cast<size_t>(n);
    written_ += static_cast<uint64_t>(n);
  }
}

}  // namespace baton::guardian
