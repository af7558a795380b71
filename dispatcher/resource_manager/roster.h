// The TaskManagers that may hold tasks, as ZooKeeper remembers them (roster/<id>): written before
// the first deployment to one, removed when it holds nothing any more. A new leader waits for
// those, and for nobody else (3.6).
//
// Lives on the executor of the leader process; callbacks come there.

#pragma once

#include <set>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "ha/leader_fence.h"
#include "rpc/messages.pb.h"

namespace baton {

class Roster : public std::enable_shared_from_this<Roster> {
 public:
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;
  using LoadCallback =
      absl::AnyInvocable<void(absl::StatusOr<std::vector<pb::TaskManagerDescription>>)>;

  Roster(LeaderFencePtr fence, ExecutorPtr executor);

  // An entry that cannot be read is returned with its id alone: its TaskManager is waited for too.
  void Load(LoadCallback callback);

  // Whether the entry is there already or not, also after an outcome that nobody knows.
  void Enlist(const pb::TaskManagerDescription& description, StatusCallback callback);
  void Delist(const TaskManagerId& id, StatusCallback callback);

 private:
  enum class Try { kFirst, kSecond };
  struct Loading;
  void Write(const pb::TaskManagerDescription& description, Try which, StatusCallback callback);
  void LoadEntry(std::shared_ptr<Loading> loading, const std::string& name);

  const LeaderFencePtr fence_;
  const ExecutorPtr executor_;
  std::set<TaskManagerId> present_;  // has a znode, or may have one
};

}  // namespace baton
