#include "dispatcher/resource_manager/roster.h"

#include <string>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {

struct Roster::Loading {
  LoadCallback callback;
  size_t missing = 0;
  absl::Status failure;
  std::vector<pb::TaskManagerDescription> entries;

  void Finish() {
    if (!failure.ok()) return callback(failure);
    callback(std::move(entries));
  }
};

Roster::Roster(LeaderFencePtr fence, ExecutorPtr executor)
    : fence_(std::move(fence)), executor_(std::move(executor)) {}

void Roster::Load(LoadCallback callback) {
  auto loading = std::make_shared<Loading>();
  loading->callback = std::move(callback);
  fence_->client().Children(
      fence_->paths().roster(), nullptr,
      BindTo(executor_, IfAlive(weak_from_this(), [loading](Roster& self, auto names) {
               if (!names.ok()) {
                 // A new cluster has no roster yet.
                 if (!absl::IsNotFound(names.status())) loading->failure = names.status();
                 return loading->Finish();
               }
               loading->missing = names->size();
               if (names->empty()) return loading->Finish();
               for (const std::string& name : *names) self.LoadEntry(loading, name);
             })));
}

void Roster::LoadEntry(std::shared_ptr<Loading> loading, const std::string& name) {
  fence_->client().Get(
      fence_->paths().roster(TaskManagerId(name)), nullptr,
      BindTo(executor_, IfAlive(weak_from_this(), [loading, name](Roster& self, auto node) {
               if (node.ok()) {
                 pb::TaskManagerDescription entry;
                 if (!entry.ParseFromString(node->data) || entry.id() != name) {
                   log::Error("roster entry is unreadable, waiting for its lease tm={}", name);
                   entry.Clear();
                   entry.set_id(name);
                 }
                 self.present_.insert(TaskManagerId(name));
                 loading->entries.push_back(std::move(entry));
               } else if (!absl::IsNotFound(node.status())) {
                 loading->failure = node.status();
               }
               if (--loading->missing == 0) loading->Finish();
             })));
}

void Roster::Enlist(const pb::TaskManagerDescription& description, StatusCallback callback) {
  Write(description, Try::kFirst, std::move(callback));
}

void Roster::Write(const pb::TaskManagerDescription& description, Try which,
                   StatusCallback callback) {
  const TaskManagerId id(description.id());
  const std::string path = fence_->paths().roster(id);
  std::string data = description.SerializeAsString();
  std::vector<CoordinationOp> ops;
  ops.push_back(present_.contains(id) ? CoordinationOp::Set(path, std::move(data), kAnyVersion)
                                      : CoordinationOp::Create(path, std::move(data)));
  fence_->Commit(
      std::move(ops),
      BindTo(executor_,
             IfAlive(weak_from_this(), [description, id, which, callback = std::move(callback)](
                                           Roster& self, auto status) mutable {
               // A commit whose outcome was not known has had its effect after all.
               const bool exists = absl::IsAlreadyExists(status), gone = absl::IsNotFound(status);
               if (gone) self.present_.erase(id);
               if (status.ok() || exists || absl::IsUnknown(status)) self.present_.insert(id);
               if ((exists || gone) && which == Try::kFirst) {
                 return self.Write(description, Try::kSecond, std::move(callback));
               }
               callback(status);
             })));
}

void Roster::Delist(const TaskManagerId& id, StatusCallback callback) {
  if (!present_.contains(id)) return callback(absl::OkStatus());
  fence_->Commit(
      {CoordinationOp::Delete(fence_->paths().roster(id), kAnyVersion)},
      BindTo(executor_, IfAlive(weak_from_this(), [id, callback = std::move(callback)](
                                                      Roster& self, auto status) mutable {
               if (absl::IsNotFound(status)) status = absl::OkStatus();
               if (status.ok()) self.present_.erase(id);
               callback(status);
             })));
}

}  // namespace baton
