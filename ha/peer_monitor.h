// RPC links from this replica to each other replica: pings every 200 ms, tells at once when one
// dies, and lends its links to whoever sends to peers (blob replication).
//
// Process death (3.4): the link closes, and a reconnect is refused or reaches another incarnation.
// Anything else (silence, a reset with the port open) proves nothing; what it may mean is for
// SilenceWatch to judge, which hears the answers to the pings.
//
// Lives on one executor: every method but OpenLinks there, every callback there.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/ids.h"
#include "rpc/frame_transport.h"
#include "rpc/messages.pb.h"
#include "rpc/rpc_link.h"
#include "rpc/rpc_server.h"

namespace baton {

struct PeerAddress {
  ReplicaId id;
  std::string rpc_address;
  // Who stands in replicas/<id> with this address, if known: a refusal proves that process dead
  // even if no link to it was ever open (it listens before it registers).
  Incarnation registered;
};

class PeerMonitor {
 public:
  struct Listener {
    std::function<void(const ReplicaId&, const Incarnation&)> on_dead;
    std::function<void(const ReplicaId&)> on_link_up;
    std::function<void(const ReplicaId&)> on_link_down;  // of a peer that is still wanted
    // The incarnation is that of the process which answered. May be null, as the others.
    std::function<void(const ReplicaId&, const Incarnation&, const pb::Pong&)> on_pong;
  };

  virtual ~PeerMonitor() = default;

  virtual void Start(Listener listener) = 0;
  virtual void Stop() = 0;

  // The peers to be linked to (not oneself). Links to others are closed.
  virtual void SetPeers(std::vector<PeerAddress> peers) = 0;

  // Open links, by replica. Any thread: the store sends its blobs from a strand of its own.
  virtual std::map<ReplicaId, RpcLinkPtr> OpenLinks() const = 0;
};
using PeerMonitorPtr = std::shared_ptr<PeerMonitor>;

PeerMonitorPtr NewPeerMonitor(FrameTransportPtr transport, ExecutorPtr executor, LinkIdentity self);

// The other side: answers the pings of peers. `answer` is called on the server's executor, which is
// the election's: a kernel that goes on accepting for a process that is stopped answers no ping.
// Before RpcServer::Start.
void ServePings(RpcServer& server, std::function<pb::Pong()> answer);

}  // namespace baton
