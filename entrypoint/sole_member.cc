#include "entrypoint/sole_member.h"

#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "fmt/ranges.h"

namespace baton {
namespace {

using Callback = absl::AnyInvocable<void(absl::Status)>;

bool IsAlone(const pb::MemberList& list, const pb::Member& self) {
  return list.members_size() == 1 && list.members(0).replica_id() == self.replica_id() &&
         list.members(0).rpc_address() == self.rpc_address();
}

void Replace(CoordinationClient& client, const std::string& path, const NodeData& found,
             const pb::Member& self, Callback callback) {
  pb::MemberList list;
  list.ParseFromString(found.data);
  const uint64_t version = list.version() + 1;
  log::Info("taking the place of an earlier life replica={} rpc={} members_version={}",
            self.replica_id(), self.rpc_address(), version);
  list.clear_members();
  *list.add_members() = self;
  list.set_version(version);
  client.Set(path, list.SerializeAsString(), found.stat.version,
             [callback = std::move(callback)](absl::StatusOr<NodeStat> set) mutable {
               callback(set.status());
             });
}

absl::Status Elsewhere(const pb::MemberList& list, std::vector<std::string> roster,
                       const SoleMember& member) {
  std::erase(roster, member.own_worker);
  if (roster.empty()) return absl::OkStatus();
  return FailedPrecondition(
      "the TaskManagers {} know this dispatcher at {} and may run its tasks; let it listen there "
      "again (rpc.address, rpc.port). It may move once they are stopped and forgotten there",
      fmt::join(roster, ", "),
      list.members_size() == 0 ? "no address" : list.members(0).rpc_address());
}

}  // namespace

void ClaimMembership(CoordinationClient& client, const CoordinationPaths& paths, SoleMember member,
                     Callback callback) {
  client.Get(
      paths.members(), nullptr,
      [&client, members = paths.members(), roster = paths.roster(), member = std::move(member),
       callback = std::move(callback)](absl::StatusOr<NodeData> found) mutable {
        if (absl::IsNotFound(found.status())) return callback(absl::OkStatus());
        if (!found.ok()) return callback(found.status());
        pb::MemberList list;
        // Unreadable: the election refuses, and says so.
        if (!list.ParseFromString(found->data) || IsAlone(list, member.self)) {
          return callback(absl::OkStatus());
        }
        client.Children(
            roster, nullptr,
            [&client, members, list, member = std::move(member), found = *std::move(found),
             callback = std::move(callback)](absl::StatusOr<std::vector<std::string>> ids) mutable {
              if (absl::IsNotFound(ids.status())) ids = std::vector<std::string>();
              if (!ids.ok()) return callback(ids.status());
              absl::Status safe = Elsewhere(list, *std::move(ids), member);
              if (!safe.ok()) return callback(std::move(safe));
              Replace(client, members, found, member.self, std::move(callback));
            });
      });
}

}  // namespace baton
