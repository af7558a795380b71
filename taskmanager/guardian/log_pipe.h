// One output stream of a task: read from a pipe, written to a file up to a limit. Past the limit
// (or when the disk is full) output is thrown away, so that a task never waits for its log and
// never fills the disk.

#pragma once

#include <cstdint>
#include <string>

namespace baton::guardian {

class LogPipe {
 public:
  // Owns `pipe`, which does not block. The file is made with the first byte.
  LogPipe(int pipe, std::string path, uint64_t max_bytes);
  ~LogPipe();
  LogPipe(const LogPipe&) = delete;
  LogPipe& operator=(const LogPipe&) = delete;

  enum class Result { kMore, kEmpty, kEnded };
  // Moves one bounded portion.
  Result Pump();

  // Moves what the pipe still holds; its writers are dead.
  void Drain();

  int fd() const { return pipe_; }

 private:
  void Write(const char* bytes, size_t size);
  void WriteToFile(const char* bytes, size_t size);

  const int pipe_;
  const std::string path_;
  const uint64_t max_bytes_;
  int file_ = -1;
  uint64_t written_ = 0;
  bool discarding_ = false;
};

}  // namespace baton::guardian
