#include "store/acknowledged_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/digest.h"
#include "base/log.h"
#include "base/status.h"
#include "fmt/format.h"

namespace baton {
namespace {

constexpr size_t kCheckDigits = 16;

}  // namespace

AcknowledgedMark::AcknowledgedMark(const std::string& directory)
    : directory_(directory), file_(directory + "/" + kFileName) {}

AcknowledgedMark::~AcknowledgedMark() {
  if (fd_ >= 0) ::close(fd_);
  if (manifest_fd_ >= 0) ::close(manifest_fd_);
}

// Always as long, so that writing it again needs no room on the disk.
std::string AcknowledgedMark::ToLine(const Mark& mark) {
  const std::string text =
      fmt::format("{:020} {:020} {:<30}", mark.sequence, mark.manifest_bytes, mark.manifest);
  return fmt::format("{} {}\n", text, Sha256Hex(text).substr(0, kCheckDigits));
}

std::optional<AcknowledgedMark::Mark> AcknowledgedMark::ReadMark() const {
  std::ifstream in(file_, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream content;
  content << in.rdbuf();
  Mark mark;
  std::istringstream words(content.str());
  words >> mark.sequence >> mark.manifest_bytes >> mark.manifest;
  if (ToLine(mark) == content.str()) return mark;
  log::Warning("the mark of what was acknowledged is unreadable and proves nothing file={}", file_);
  return std::nullopt;
}

std::optional<uint64_t> AcknowledgedMark::Read() const {
  const auto mark = ReadMark();
  if (!mark) return std::nullopt;
  return mark->sequence;
}

std::string AcknowledgedMark::CurrentManifest() const {
  std::ifstream in(directory_ + "/CURRENT");
  std::string name;
  std::getline(in, name);
  return name;
}

absl::Status AcknowledgedMark::CheckManifest() const {
  const auto mark = ReadMark();
  if (!mark || mark->manifest.empty() || mark->manifest != CurrentManifest()) {
    return absl::OkStatus();
  }
  std::error_code error;
  const auto size = std::filesystem::file_size(directory_ + "/" + mark->manifest, error);
  if (error || size >= mark->manifest_bytes) return absl::OkStatus();
  return DataLoss("{} has {} bytes and had {}: it was cut short", mark->manifest, size,
                  mark->manifest_bytes);
}

void AcknowledgedMark::Write(uint64_t sequence) {
  if (fd_ < 0) fd_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) return;
  last_.sequence = sequence;
  NoteManifest();
  const std::string line = ToLine(last_);
  // No acknowledgement fails for its mark: without this one the older stays, which is true and
  // proves less, and one that was written in part has a wrong check and proves nothing.
  [[maybe_unused]] const ssize_t written = ::pwrite(fd_, line.data(), line.size(), 0);
}

// It grows with each flush. RocksDB syncs it, but perhaps not yet when its size is seen here.
void AcknowledgedMark::NoteManifest() {
  struct stat seen {};
  if (manifest_fd_ < 0 || ::fstat(manifest_fd_, &seen) != 0 || seen.st_nlink == 0) {
    if (manifest_fd_ >= 0) ::close(manifest_fd_);
    last_.manifest = CurrentManifest();
    last_.manifest_bytes = 0;
    manifest_fd_ = ::open((directory_ + "/" + last_.manifest).c_str(), O_RDONLY | O_CLOEXEC);
    if (manifest_fd_ < 0 || ::fstat(manifest_fd_, &seen) != 0) return;
  }
  const auto bytes = static_cast<uint64_t>(seen.st_size);
  if (bytes == last_.manifest_bytes || ::fdatasync(manifest_fd_) != 0) return;
  last_.manifest_bytes = bytes;
}

}  // namespace baton
