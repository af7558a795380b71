// Tells every connected TaskManager who leads: on connecting and at every change (LeaderRetrieval
// for workers, which hold no ZooKeeper credentials). It is hearsay for them: they register with the
// leader named and adopt its epoch only from itself (3.6).
//
// Lives on the executor of the RPC server; every method is called there.

#pragma once

#include <map>
#include <optional>

#include "ha/leader_election.h"
#include "rpc/rpc_link.h"

namespace baton {

class LeaderAnnouncer {
 public:
  void OnLinkOpened(const RpcLinkPtr& link);
  void OnLinkClosed(const RpcLinkPtr& link);
  void OnView(const LeadershipView& view);

 private:
  void Announce(RpcLink& link) const;

  std::map<uint64_t, RpcLinkPtr> task_managers_;  // by number
  std::optional<pb::LeaderRecord> leader_;
  pb::MemberList members_;
};

}  // namespace baton
