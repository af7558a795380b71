#include "ha/replica_registration.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

std::vector<std::string> WithParents(const std::string& path) {
  std::vector<std::string> prefixes;
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    prefixes.push_back(path.substr(0, end));
  }
  prefixes.push_back(path);
  return prefixes;
}

// One run; the callbacks of the client hold it (and it not the client).
class Registration : public std::enable_shared_from_this<Registration> {
 public:
  Registration(const CoordinationClientPtr& client, const CoordinationPaths& paths,
               const pb::ReplicaRecord& self, int64_t session_id,
               absl::AnyInvocable<void(absl::Status)> callback)
      : client_(client),
        node_(paths.replica(ReplicaId(self.replica_id()))),
        folders_(WithParents(paths.replicas())),
        record_(self.SerializeAsString()),
        session_id_(session_id),
        callback_(std::move(callback)) {}

  // All at once: a session's operations take effect in the order of their calls.
  void Begin() {
    missing_ = folders_.size();
    auto client = client_.lock();
    if (!client) return Finish(SessionOver());
    for (const std::string& folder : folders_) {
      client->Create(
          folder, "", NodeKind::kPersistent,
          [self = shared_from_this()](absl::Status status) { self->OnFolder(std::move(status)); });
    }
  }

 private:
  void OnFolder(absl::Status status) {
    const bool exists = status.code() == absl::StatusCode::kAlreadyExists;
    if (!status.ok() && !exists) return Finish(std::move(status));
    if (--missing_ == 0) LookForOld();
  }

  void LookForOld() {
    auto client = client_.lock();
    if (!client) return Finish(SessionOver());
    client->Get(node_, nullptr, [self = shared_from_this()](absl::StatusOr<NodeData> old) {
      if (old.status().code() == absl::StatusCode::kNotFound) return self->CreateOwn();
      if (!old.ok()) return self->Finish(old.status());
      self->OnOld(*old);
    });
  }

  void OnOld(const NodeData& old) {
    if (old.stat.ephemeral_owner == session_id_ && old.data == record_) {
      return Finish(absl::OkStatus());
    }
    log::Info("removing the node of an earlier life path={} session_id={:#x}", node_,
              old.stat.ephemeral_owner);
    auto client = client_.lock();
    if (!client) return Finish(SessionOver());
    client->Delete(node_, old.stat.version, [self = shared_from_this()](absl::Status status) {
      const bool gone = status.code() == absl::StatusCode::kNotFound;
      status.ok() || gone ? self->CreateOwn() : self->Finish(std::move(status));
    });
  }

  void CreateOwn() {
    auto client = client_.lock();
    if (!client) return Finish(SessionOver());
    client->Create(
        node_, record_, NodeKind::kEphemeral, [self = shared_from_this()](absl::Status status) {
          if (status.code() == absl::StatusCode::kAlreadyExists) {
            status =
                FailedPrecondition("{} was made by another process at the same time", self->node_);
          }
          self->Finish(std::move(status));
        });
  }

  static absl::Status SessionOver() { return Aborted("the session is over"); }

  void Finish(absl::Status status) {
    if (auto callback = std::exchange(callback_, nullptr)) callback(std::move(status));
  }

  const std::weak_ptr<CoordinationClient> client_;
  const std::string node_;
  const std::vector<std::string> folders_;
  const std::string record_;
  const int64_t session_id_;
  absl::AnyInvocable<void(absl::Status)> callback_;
  size_t missing_ = 0;
};

}  // namespace

void RegisterReplica(CoordinationClientPtr client, const CoordinationPaths& paths,
                     const pb::ReplicaRecord& self, int64_t session_id,
                     absl::AnyInvocable<void(absl::Status)> callback) {
  std::make_shared<Registration>(client, paths, self, session_id, std::move(callback))->Begin();
}

}  // namespace baton
