#include "cli/cluster/small_disk.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/status.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// Memory is taken for what is written only.
constexpr uint64_t kRoomBytes = uint64_t{4} << 30;
constexpr int kTries = 50;

absl::Status Refused(const std::string& what) {
  const std::string text = fmt::format("{}: {}", what, std::strerror(errno));
  if (errno != EPERM && errno != EACCES) return Internal("{}", text);
  return FailedPrecondition("a small disk is a mount, which needs the rights of root ({})", text);
}

// From here on what is mounted below `directory` is nobody else's. Other mounts (the namespaces of
// hosts) go on being shared with the machine as far as they were.
absl::Status KeepMountsToOurselves(const fs::path& directory) {
  if (unshare(CLONE_NEWNS) != 0) return Refused("unshare");
  // Only a place where something is mounted can be made private: the nearest one above.
  for (fs::path place = directory;; place = place.parent_path()) {
    if (mount(nullptr, place.c_str(), nullptr, MS_PRIVATE, nullptr) == 0) return absl::OkStatus();
    if (errno != EINVAL || place == place.root_path()) return Refused(place.string());
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<SmallDisk>> SmallDisk::Make(const std::string& directory) {
  std::error_code error;
  const fs::path place = fs::canonical(directory, error);
  if (error) return Internal("{}: {}", directory, error.message());
  if (!fs::is_empty(place, error)) {
    return FailedPrecondition("{} holds something already, which a small disk would hide",
                              directory);
  }
  if (auto status = KeepMountsToOurselves(place); !status.ok()) return status;
  const std::string options = fmt::format("mode=0755,size={}", kRoomBytes);
  if (mount("baton-small-disk", place.c_str(), "tmpfs", 0, options.c_str()) != 0) {
    return Refused(directory);
  }
  return std::unique_ptr<SmallDisk>(new SmallDisk(place));
}

SmallDisk::~SmallDisk() { (void)Remove(); }

absl::Status SmallDisk::Resize(uint64_t bytes) const {
  const std::string options = fmt::format("size={}", bytes);
  if (mount(nullptr, directory_.c_str(), nullptr, MS_REMOUNT, options.c_str()) == 0) {
    return absl::OkStatus();
  }
  return Internal("{}: cannot be resized to {} bytes: {}", directory_, bytes, std::strerror(errno));
}

absl::Status SmallDisk::Fill(uint64_t left_bytes) {
  absl::Status status;
  // It refuses to be smaller than what it holds, which may have grown since the question.
  for (int i = 0; i < kTries; ++i) {
    struct statvfs about {};
    if (statvfs(directory_.c_str(), &about) != 0) return Refused(directory_);
    const uint64_t used = (about.f_blocks - about.f_bfree) * about.f_frsize;
    status = Resize(std::max<uint64_t>(used, about.f_frsize) + left_bytes);  // 0 is no limit
    if (status.ok()) return status;
  }
  return status;
}

absl::Status SmallDisk::Free() { return Resize(kRoomBytes); }

absl::Status SmallDisk::Remove() {
  if (!mounted_) return absl::OkStatus();
  mounted_ = false;
  const std::string kept = directory_ + ".kept";
  std::error_code copying;
  fs::copy(directory_, kept, fs::copy_options::recursive, copying);
  if (umount2(directory_.c_str(), MNT_DETACH) != 0) return Refused(directory_);
  std::error_code error;
  if (!copying) fs::remove(directory_, error);
  if (!copying && !error) fs::rename(kept, directory_, error);
  if (!copying && !error) return absl::OkStatus();
  return Internal("{}: what it held is lost: {}", directory_,
                  (copying ? copying : error).message());
}

}  // namespace baton
