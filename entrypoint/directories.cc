#include "entrypoint/directories.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/config_options.h"
#include "base/status.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string Below(const Config& config, const ConfigOption<std::string>& own, const char* name) {
  const std::string configured = config.Get(own);
  return configured.empty() ? WorkingDirectoryOf(config) + "/" + name
                            : fs::absolute(configured).lexically_normal().string();
}

std::string Holder(int fd) {
  char text[32] = {};
  const ssize_t got = pread(fd, text, sizeof text - 1, 0);
  const std::string pid(text, got > 0 ? static_cast<size_t>(got) : 0);
  return pid.empty() ? "another process" : "process " + pid.substr(0, pid.find('\n'));
}

}  // namespace

std::string WorkingDirectoryOf(const Config& config) {
  std::string directory =
      fs::absolute(config.Get(options::kWorkingDirectory)).lexically_normal().string();
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  return directory;
}

std::string StoreDirectoryOf(const Config& config) {
  return Below(config, options::kStoreDirectory, "store");
}

std::string TaskDirectoryOf(const Config& config) {
  return Below(config, options::kWorkDirectory, "tasks");
}

std::string OwnSharedDirectoryOf(const Config& config) {
  return Below(config, options::kSharedDirectory, "shared");
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Unavailable("cannot make the directory {}: {}", directory, error.message());
  const std::string path = directory + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return Unavailable("cannot open {}: {}", path, std::strerror(errno));
  std::unique_ptr<DirectoryLock> lock(new DirectoryLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return Unavailable(
        "{} belongs to {}, which runs; stop it, or start with a directory of your own (-D "
        "process.working-dir=DIR)",
        directory, Holder(fd));
  }
  // Only for the sentence above; the lock is the kernel's.
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return Unavailable("cannot write {}: {}", path, std::strerror(errno));
  }
  return lock;
}

DirectoryLock::~DirectoryLock() { close(fd_); }

}  // namespace baton
