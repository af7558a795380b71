#include "cli/cluster/tool.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/status.h"

namespace baton {
namespace {

// A file without a name: takes any amount, so that nobody waits for a reader.
class Buffer {
 public:
  Buffer() : fd_(memfd_create("baton-tool", MFD_CLOEXEC)) {}
  ~Buffer() {
    if (fd_ >= 0) close(fd_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  int fd() const { return fd_; }
  bool Fill(const std::string& text) {
    return fd_ >= 0 && write(fd_, text.data(), text.size()) == std::ssize(text) &&
           lseek(fd_, 0, SEEK_SET) == 0;
  }
  std::string Text() const {
    std::string text(static_cast<size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    const ssize_t got = pread(fd_, text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }

 private:
  const int fd_;
};

std::string OnOneLine(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ';';
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> RunTool(const std::vector<std::string>& argv,
                                    const std::string& input) {
  Buffer in;
  Buffer out;
  if (!in.Fill(input) || out.fd() < 0) return Internal("memfd: {}", std::strerror(errno));
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.fd(), 0);
  posix_spawn_file_actions_adddup2(&files, out.fd(), 1);
  posix_spawn_file_actions_adddup2(&files, out.fd(), 2);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error == ENOENT) return NotFound("{} is not installed", argv[0]);
  if (error != 0) return Internal("cannot execute {}: {}", argv[0], std::strerror(error));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return Internal("waiting for {}: {}", argv[0], std::strerror(errno));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return out.Text();
  return Internal("{} failed: {}", argv[0], OnOneLine(out.Text()));
}

}  // namespace baton
