// RPC links from a TaskManager to every dispatcher replica that it knows of, kept open: a replica
// names the leader on its link, and a link that breaks is made again with a short backoff.
//
// Lives on one executor: every method there, every callback there. Owned by the TaskExecutor.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "base/executor.h"
#include "base/random.h"
#include "rpc/frame_transport.h"
#include "rpc/messages.pb.h"
#include "rpc/refusal_log.h"
#include "rpc/rpc_link.h"

namespace baton {

class DispatcherLinks : public std::enable_shared_from_this<DispatcherLinks> {
 public:
  static constexpr Duration kConnectTimeout = std::chrono::seconds(2);
  static constexpr Duration kLeastBackoff = std::chrono::milliseconds(20);
  static constexpr Duration kMostBackoff = std::chrono::milliseconds(500);
  static constexpr size_t kMaxAddresses = 64;

  struct Dependencies {
    FrameTransportPtr transport;
    ExecutorPtr executor;
    RandomPtr random;
    LinkIdentity self;
  };
  struct Listener {
    std::function<void(const RpcLinkPtr&)> on_opened;
    RpcLink::MessageHandler on_message;
    RpcLink::ClosedHandler on_closed;
  };

  explicit DispatcherLinks(Dependencies dependencies);

  void Start(Listener listener);
  void Stop();

  // Links to other addresses are closed.
  void SetAddresses(const std::set<std::string>& addresses);

  // The open link to that very process, whatever address it was reached at; else to its address.
  RpcLinkPtr FindLeader(const pb::LeaderRecord& leader) const;
  // The open link that was made to this address.
  RpcLinkPtr FindAt(const std::string& address) const;

 private:
  struct Peer {
    RpcLinkPtr link;
    Duration backoff = kLeastBackoff;
    TimerId retry = kNoTimer;
    bool connecting = false;
  };

  void Connect(const std::string& address);
  void OnConnected(const std::string& address, absl::StatusOr<RpcLinkPtr> link);
  void OnClosed(const std::string& address, const RpcLinkPtr& link, const absl::Status& why);
  void RetryLater(const std::string& address, Peer* peer);

  const Dependencies dependencies_;
  RefusalLog refusals_;
  Listener listener_;
  std::map<std::string, Peer> peers_;
};

}  // namespace baton
