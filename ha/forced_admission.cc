#include "ha/forced_admission.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "ha/candidacy.h"
#include "ha/member_list.h"

namespace baton {
namespace {

class Admission : public std::enable_shared_from_this<Admission> {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<pb::MemberList>)>;

  Admission(CoordinationClientPtr client, const CoordinationPaths& paths, const pb::Member& replica,
            Callback callback)
      : client_(std::move(client)),
        paths_(paths),
        replica_(replica),
        callback_(std::move(callback)) {}

  void Begin() {
    client_->Get(paths_.epoch(), nullptr, [self = shared_from_this()](auto epoch) {
      pb::LeaderRecord record;
      if (absl::IsNotFound(epoch.status()) ||
          (epoch.ok() && record.ParseFromString(epoch->data) && record.epoch() == 0)) {
        return self->Finish(FailedPrecondition(
            "nobody has led this cluster yet: start the replica, it admits itself"));
      }
      epoch.ok() ? self->LookForLeader() : self->Finish(epoch.status());
    });
  }

 private:
  void LookForLeader() {
    client_->Get(paths_.leader(), nullptr, [self = shared_from_this()](auto leader) {
      if (absl::IsNotFound(leader.status())) return self->ReadMembers();
      if (!leader.ok()) return self->Finish(leader.status());
      pb::LeaderRecord record;
      record.ParseFromString(leader->data);
      self->Finish(
          FailedPrecondition("replica {} leads epoch {} and admits replicas by itself; if it is "
                             "dead, its session ends "
                             "soon: try again then",
                             record.replica_id(), record.epoch()));
    });
  }

  void ReadMembers() {
    client_->Get(paths_.members(), nullptr, [self = shared_from_this()](auto members) {
      if (members.ok()) {
        self->version_ = members->stat.version;
        if (!self->list_.ParseFromString(members->data)) {
          log::Warning("the record in `members` is unreadable and is replaced");
          self->list_.Clear();
        }
      } else if (!absl::IsNotFound(members.status())) {
        return self->Finish(members.status());
      }
      self->ListReplicas();
    });
  }

  void ListReplicas() {
    client_->Children(paths_.replicas(), nullptr, [self = shared_from_this()](auto names) {
      if (absl::IsNotFound(names.status())) return self->Write();
      if (!names.ok()) return self->Finish(names.status());
      self->names_ = *std::move(names);
      self->CheckNextReplica();
    });
  }

  void CheckNextReplica() {
    if (names_.empty()) return Write();
    const std::string name = std::move(names_.back());
    names_.pop_back();
    client_->Get(paths_.replica(ReplicaId(name)), nullptr, [self = shared_from_this()](auto node) {
      pb::ReplicaRecord record;
      if (!node.ok() && !absl::IsNotFound(node.status())) return self->Finish(node.status());
      if (node.ok() && record.ParseFromString(node->data) &&
          IsMember(self->list_, record.replica_id(), record.rpc_address())) {
        return self->Finish(
            FailedPrecondition("replica {} at {} is a member and alive: it leads as soon as it "
                               "can; if it is dead, its "
                               "session ends soon: try again then",
                               record.replica_id(), record.rpc_address()));
      }
      self->CheckNextReplica();
    });
  }

  void Write() {
    const bool has_members = version_.has_value();
    auto list = WithoutRetired(list_, ReplicaId(replica_.replica_id()));
    if (list.ok()) list = WithMember(*std::move(list), replica_);
    if (!list.ok()) return Finish(list.status());
    if (HasMember(list_, replica_)) return Finish(std::move(list));
    std::string data = list->SerializeAsString();
    std::vector<CoordinationOp> ops;
    ops.push_back(CoordinationOp::Create(paths_.leader(), "", NodeKind::kEphemeral));
    ops.push_back(has_members ? CoordinationOp::Set(paths_.members(), std::move(data), *version_)
                              : CoordinationOp::Create(paths_.members(), std::move(data)));
    ops.push_back(CoordinationOp::Delete(paths_.leader(), kAnyVersion));
    client_->Multi(std::move(ops), [self = shared_from_this(),
                                    list = *std::move(list)](const MultiResult& result) {
      if (result.status.ok()) return self->Finish(list);
      self->Finish(FailedPrecondition("the cluster changed at the same time, look again: {}",
                                      Message(result.status)));
    });
  }

  void Finish(absl::StatusOr<pb::MemberList> result) {
    if (auto callback = std::exchange(callback_, nullptr)) callback(std::move(result));
  }

  const CoordinationClientPtr client_;
  const CoordinationPaths paths_;
  const pb::Member replica_;
  Callback callback_;
  pb::MemberList list_;
  std::optional<int32_t> version_;  // of the node `members`; none: there is none
  std::vector<std::string> names_;  // replicas yet to be looked at
};

}  // namespace

void ForceAdmission(CoordinationClientPtr client, const CoordinationPaths& paths,
                    const pb::Member& replica,
                    absl::AnyInvocable<void(absl::StatusOr<pb::MemberList>)> callback) {
  std::make_shared<Admission>(std::move(client), paths, replica, std::move(callback))->Begin();
}

}  // namespace baton
