// The secret that the processes of a cluster share, and prove to each other on every link without
// sending it.
//
// The file has a secret a line: the first proves, all are accepted, so that a secret can be changed
// one process after the other: add the new one below, later move it to the top, later remove the
// old one. It is looked at again while the process runs (KeepFresh).
//
// Threading: any thread. Load, Reload and the timer of KeepFresh read a small local file.

#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"

namespace baton {

class ClusterSecrets;
using ClusterSecretsPtr = std::shared_ptr<ClusterSecrets>;

class ClusterSecrets {
 public:
  static constexpr size_t kLeastBytes = 16;
  static constexpr size_t kMaxSecrets = 8;

  // kInvalidArgument: the file cannot be read, is readable for others, or holds no good secret; the
  // message says which.
  static absl::StatusOr<ClusterSecretsPtr> Load(const std::string& file);

  explicit ClusterSecrets(std::vector<std::string> secrets) : secrets_(std::move(secrets)) {}

  // Reads the file again; what it held before stays in force where it is bad now.
  absl::Status Reload();

  // The one to prove with.
  std::string First() const;
  // That of the accepted ones with which `mac` was made over `text`, if any.
  std::optional<std::string> FindSecretOf(std::string_view mac, std::string_view text) const;

 private:
  std::string file_;  // constant; empty: there is none
  mutable std::mutex mutex_;
  std::vector<std::string> secrets_;  // guarded by mutex_; never empty
};

// Reloads every 10 s on `executor`, for as long as somebody else owns `secrets`.
void KeepFresh(const ClusterSecretsPtr& secrets, const ExecutorPtr& executor);

// 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view text);

}  // namespace baton
