#include "rpc/cluster_secret.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr size_t kMaxFileBytes = 16 << 10;
constexpr Duration kReloadInterval = std::chrono::seconds(10);

// Whoever can read it can join the cluster and so run commands on its workers: as PostgreSQL does
// with its keys, 0600 or less of the own user, 0640 or less of root.
absl::Status CheckMode(const std::string& file, const struct stat& found) {
  if (!S_ISREG(found.st_mode)) return InvalidArgument("{} is not a file", file);
  if (found.st_uid != 0 && found.st_uid != ::geteuid()) {
    return InvalidArgument("{} belongs to user {}; it must be this process's user or root", file,
                           found.st_uid);
  }
  const mode_t allowed = found.st_uid == 0 ? 0740 : 0700;
  if ((found.st_mode & 0777 & ~allowed) != 0) {
    return InvalidArgument("{} is open to others (mode {:04o}): chmod 600 it", file,
                           found.st_mode & 0777);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return InvalidArgument("{}: {}", file, std::strerror(errno));
  struct stat found = {};
  absl::Status status = absl::OkStatus();
  std::string text(kMaxFileBytes + 1, '\0');
  if (::fstat(fd, &found) != 0) {
    status = InvalidArgument("{}: {}", file, std::strerror(errno));
  } else {
    status = CheckMode(file, found);
  }
  size_t filled = 0;
  while (status.ok() && filled < text.size()) {
    const ssize_t count = ::read(fd, text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) status = InvalidArgument("{}: {}", file, std::strerror(errno));
    if (count <= 0) break;
    filled += static_cast<size_t>(count);
  }
  ::close(fd);
  if (!status.ok()) return status;
  if (filled > kMaxFileBytes) {
    return InvalidArgument("{} is larger than {} bytes", file, kMaxFileBytes);
  }
  text.resize(filled);
  return text;
}

absl::StatusOr<std::vector<std::string>> ReadSecrets(const std::string& file) {
  absl::StatusOr<std::string> text = ReadSecretFile(file);
  if (!text.ok()) return text.status();
  std::vector<std::string> secrets;
  for (size_t begin = 0, line = 1; begin < text->size(); ++line) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    std::string secret = text->substr(begin, end - begin);
    begin = end + 1;
    while (!secret.empty() && (secret.back() == '\r' || secret.back() == ' ')) secret.pop_back();
    if (secret.empty()) continue;
    if (secret.size() < ClusterSecrets::kLeastBytes) {
      return InvalidArgument("{}:{}: a secret of {} bytes is too short, {} are needed", file, line,
                             secret.size(), ClusterSecrets::kLeastBytes);
    }
    secrets.push_back(std::move(secret));
  }
  if (secrets.empty()) return InvalidArgument("{} holds no secret", file);
  if (secrets.size() > ClusterSecrets::kMaxSecrets) {
    return InvalidArgument("{} holds more than {} secrets", file, ClusterSecrets::kMaxSecrets);
  }
  return secrets;
}

}  // namespace

absl::StatusOr<ClusterSecretsPtr> ClusterSecrets::Load(const std::string& file) {
  auto secrets = ReadSecrets(file);
  if (!secrets.ok()) return secrets.status();
  auto loaded = std::make_shared<ClusterSecrets>(*std::move(secrets));
  loaded->file_ = file;
  return loaded;
}

absl::Status ClusterSecrets::Reload() {
  auto secrets = ReadSecrets(file_);
  if (!secrets.ok()) return secrets.status();
  std::lock_guard lock(mutex_);
  if (secrets_ == *secrets) return absl::OkStatus();
  secrets_ = *std::move(secrets);
  log::Info("cluster secrets read again file={} count={}", file_, secrets_.size());
  return absl::OkStatus();
}

std::string ClusterSecrets::First() const {
  std::lock_guard lock(mutex_);
  return secrets_.front();
}

std::optional<std::string> ClusterSecrets::FindSecretOf(std::string_view mac,
                                                        std::string_view text) const {
  std::lock_guard lock(mutex_);
  std::optional<std::string> found;
  // All are tried, in constant time each: how long it takes tells nothing.
  for (const std::string& secret : secrets_) {
    const std::string expected = HmacSha256(secret, text);
    const bool same = mac.size() == expected.size() &&
                      CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) == 0;
    if (same) found = secret;
  }
  return found;
}

namespace {

void ReloadLater(std::weak_ptr<ClusterSecrets> weak, ExecutorPtr executor, std::string problem) {
  Executor& on = *executor;
  on.PostAfter(kReloadInterval, [weak = std::move(weak), executor = std::move(executor),
                                 problem = std::move(problem)]() mutable {
    auto secrets = weak.lock();
    if (!secrets) return;
    const std::string now = Message(secrets->Reload());
    // Once for each change: the file may be out of reach for good, on purpose.
    if (!now.empty() && now != problem) {
      log::Warning("cluster secrets stay as they were: {}", now);
    }
    ReloadLater(std::move(weak), std::move(executor), now);
  });
}

}  // namespace

void KeepFresh(const ClusterSecretsPtr& secrets, const ExecutorPtr& executor) {
  ReloadLater(secrets, executor, "");
}

std::string HmacSha256(std::string_view key, std::string_view text) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return std::string(reinterpret_cast<const char*>(mac), size);
}

}  // namespace baton
