#include "ha/peer_monitor.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "rpc/refusal_log.h"

namespace baton {
namespace {

constexpr Duration kPingInterval = std::chrono::milliseconds(200);
constexpr Duration kPingTimeout = std::chrono::seconds(2);
constexpr Duration kConnectTimeout = std::chrono::seconds(1);
// A process that dies closes its links before the port that it listens on: what connects in between
// is accepted and broken, and proves nothing. The next attempt is refused, so it must come soon.
constexpr Duration kFirstRetry = std::chrono::milliseconds(2);
constexpr Duration kLastRetry = std::chrono::seconds(1);

struct Peer {
  PeerAddress address;
  // Each connect has a number of its own: what an earlier one (or an earlier peer of this id) still
  // says is dropped.
  uint64_t attempt = 0;
  RpcLinkPtr link;       // open, or null
  Incarnation last_met;  // whom the last link reached and who is not known to be dead
  Duration retry = kFirstRetry;
};

class Monitor final : public PeerMonitor, public std::enable_shared_from_this<Monitor> {
 public:
  Monitor(FrameTransportPtr transport, ExecutorPtr executor, LinkIdentity self)
      : transport_(std::move(transport)),
        executor_(std::move(executor)),
        self_(std::move(self)),
        refusals_(executor_) {}

  ~Monitor() override { CloseAll(); }

  void Start(Listener listener) override {
    listener_ = std::move(listener);
    running_ = true;
    for (auto& [id, peer] : peers_) Connect(peer);
  }

  void Stop() override {
    running_ = false;
    CloseAll();
  }

  void SetPeers(std::vector<PeerAddress> peers) override;

  std::map<ReplicaId, RpcLinkPtr> OpenLinks() const override {
    std::map<ReplicaId, RpcLinkPtr> links;
    {
      std::lock_guard lock(mutex_);
      links = published_;
    }
    std::erase_if(links, [](const auto& entry) { return entry.second->closed(); });
    return links;
  }

 private:
  void Connect(Peer& peer);
  void OnConnect(const ReplicaId& id, uint64_t attempt, absl::StatusOr<RpcLinkPtr> link);
  void OnLink(Peer& peer, RpcLinkPtr link);
  void OnNoLink(Peer& peer, const absl::Status& status);
  void OnClosed(const ReplicaId& id, uint64_t attempt, const absl::Status& why);
  void SchedulePing(const Peer& peer, Duration delay);
  void Ping(const ReplicaId& id, uint64_t attempt);
  void OnPong(const ReplicaId& id, uint64_t attempt, const absl::StatusOr<pb::Envelope>& reply);
  void ReportDead(Peer& peer);
  Peer* Find(const ReplicaId& id, uint64_t attempt);
  void CloseAll();
  void Publish();

  const FrameTransportPtr transport_;
  const ExecutorPtr executor_;
  const LinkIdentity self_;
  RefusalLog refusals_;
  Listener listener_;
  bool running_ = false;
  uint64_t last_attempt_ = 0;
  std::map<ReplicaId, Peer> peers_;

  mutable std::mutex mutex_;
  // Guarded by mutex_: the links of peers_, as they were after its last change.
  std::map<ReplicaId, RpcLinkPtr> published_;
};

// The peer, if this attempt is still its present one.
Peer* Monitor::Find(const ReplicaId& id, uint64_t attempt) {
  auto found = peers_.find(id);
  const bool current = running_ && found != peers_.end() && found->second.attempt == attempt;
  return current ? &found->second : nullptr;
}

void Monitor::SetPeers(std::vector<PeerAddress> peers) {
  std::map<ReplicaId, Peer> before = std::exchange(peers_, {});
  for (PeerAddress& address : peers) {
    if (address.id.value() == self_.hello.id()) continue;
    auto old = before.extract(address.id);
    if (!old.empty() && old.mapped().address.rpc_address == address.rpc_address) {
      old.mapped().address = std::move(address);
      peers_.insert(std::move(old));
      continue;
    }
    if (!old.empty()) before.insert(std::move(old));  // at another address it is another process
    const ReplicaId id = address.id;
    peers_[id] = Peer{.address = std::move(address)};
  }
  for (auto& [id, peer] : before) {
    if (peer.link) peer.link->Close();
  }
  Publish();
  for (auto& [id, peer] : peers_) {
    if (running_ && peer.attempt == 0) Connect(peer);
  }
}

void Monitor::Connect(Peer& peer) {
  peer.attempt = ++last_attempt_;
  RpcLink::Connect(*transport_, peer.address.rpc_address, self_, executor_, kConnectTimeout,
                   IfAlive(weak_from_this(), [id = peer.address.id, attempt = peer.attempt](
                                                 Monitor& monitor, auto link) {
                     monitor.OnConnect(id, attempt, std::move(link));
                   }));
}

void Monitor::OnConnect(const ReplicaId& id, uint64_t attempt, absl::StatusOr<RpcLinkPtr> link) {
  Peer* peer = Find(id, attempt);
  if (peer == nullptr) {
    if (link.ok()) (*link)->Close();
  } else if (!link.ok()) {
    OnNoLink(*peer, link.status());
  } else if ((*link)->peer().id() != id.value()) {
    // Somebody else has that address now; that tells nothing of the peer's process.
    (*link)->Close();
    OnNoLink(*peer, FailedPrecondition("{} answers as '{}'", peer->address.rpc_address,
                                       (*link)->peer().id()));
  } else {
    OnLink(*peer, *std::move(link));
  }
}

void Monitor::OnLink(Peer& peer, RpcLinkPtr link) {
  const ReplicaId id = peer.address.id;
  const uint64_t attempt = peer.attempt;
  const Incarnation met(link->peer().incarnation());
  if (!peer.last_met.empty() && peer.last_met != met) {
    ReportDead(peer);
    if (Find(id, attempt) == nullptr) return link->Close();  // the listener changed the peers
  }
  peer.last_met = met;
  peer.retry = kFirstRetry;
  peer.link = link;
  Publish();
  link->Start(
      {.on_message =
           [](const RpcLinkPtr& link, const pb::Envelope& message) {
             // Peers ask over the links that they open themselves.
             if (message.correlation_id() == 0) return;
             link->ReplyError(message, FailedPrecondition("ask on a link of your own"));
           },
       .on_closed = IfAlive(weak_from_this(), [id, attempt](Monitor& monitor, const RpcLinkPtr&,
                                                            const absl::Status& why) {
         monitor.OnClosed(id, attempt, why);
       })});
  log::Info("linked to peer replica={} address={} incarnation={}", id.value(),
            peer.address.rpc_address, met.value());
  SchedulePing(peer, Duration::zero());
  if (listener_.on_link_up) listener_.on_link_up(id);
}

void Monitor::OnNoLink(Peer& peer, const absl::Status& status) {
  const ReplicaId id = peer.address.id;
  const uint64_t attempt = peer.attempt;
  const Duration delay = peer.retry;
  peer.retry = std::min(2 * peer.retry, kLastRetry);
  log::Debug("no link to peer replica={} address={}: {}", id.value(), peer.address.rpc_address,
             Describe(status));
  if (status.code() == absl::StatusCode::kFailedPrecondition) refusals_.Warn(id.value(), status);
  executor_->PostAfter(delay, IfAlive(weak_from_this(), [id, attempt](Monitor& monitor) {
                         if (Peer* peer = monitor.Find(id, attempt)) monitor.Connect(*peer);
                       }));
  if (!IsRefused(status)) return;
  if (peer.last_met.empty()) peer.last_met = std::exchange(peer.address.registered, {});
  ReportDead(peer);
}

// At most once for each incarnation.
void Monitor::ReportDead(Peer& peer) {
  const Incarnation dead = std::exchange(peer.last_met, {});
  if (dead.empty()) return;
  if (peer.address.registered == dead) peer.address.registered = {};
  const ReplicaId id = peer.address.id;
  log::Warning("peer is dead replica={} incarnation={}", id.value(), dead.value());
  if (listener_.on_dead) listener_.on_dead(id, dead);
}

void Monitor::OnClosed(const ReplicaId& id, uint64_t attempt, const absl::Status& why) {
  Peer* peer = Find(id, attempt);
  if (peer == nullptr) return;
  log::Info("link to peer closed replica={}: {}", id.value(), Describe(why));
  peer->link.reset();
  Publish();
  Connect(*peer);  // at once: its answer tells a dead process from a broken connection
  if (listener_.on_link_down) listener_.on_link_down(id);
}

void Monitor::SchedulePing(const Peer& peer, Duration delay) {
  executor_->PostAfter(
      delay, IfAlive(weak_from_this(), [id = peer.address.id, attempt = peer.attempt](
                                           Monitor& monitor) { monitor.Ping(id, attempt); }));
}

void Monitor::Ping(const ReplicaId& id, uint64_t attempt) {
  Peer* peer = Find(id, attempt);
  if (peer == nullptr || !peer->link) return;
  pb::Envelope ping;
  ping.mutable_ping();
  peer->link->Call(std::move(ping), kPingTimeout,
                   IfAlive(weak_from_this(), [id, attempt](Monitor& monitor, auto reply) {
                     monitor.OnPong(id, attempt, reply);
                   }));
}

void Monitor::OnPong(const ReplicaId& id, uint64_t attempt,
                     const absl::StatusOr<pb::Envelope>& reply) {
  Peer* peer = Find(id, attempt);
  if (peer == nullptr || !peer->link) return;
  if (reply.status().code() == absl::StatusCode::kDeadlineExceeded) {
    // Silence proves nothing, but a connection whose other end is gone may hang for minutes.
    log::Warning("peer is silent, linking anew replica={}", id.value());
    return peer->link->Close();
  }
  SchedulePing(*peer, kPingInterval);
  if (!reply.ok() || !reply->has_pong() || !listener_.on_pong) return;
  listener_.on_pong(id, Incarnation(peer->link->peer().incarnation()), reply->pong());
}

void Monitor::CloseAll() {
  for (auto& [id, peer] : peers_) {
    peer.attempt = 0;
    if (auto link = std::exchange(peer.link, nullptr)) link->Close();
  }
  Publish();
}

void Monitor::Publish() {
  std::map<ReplicaId, RpcLinkPtr> links;
  for (const auto& [id, peer] : peers_) {
    if (peer.link) links[id] = peer.link;
  }
  std::lock_guard lock(mutex_);
  published_.swap(links);
}

}  // namespace

PeerMonitorPtr NewPeerMonitor(FrameTransportPtr transport, ExecutorPtr executor,
                              LinkIdentity self) {
  return std::make_shared<Monitor>(std::move(transport), std::move(executor), std::move(self));
}

void ServePings(RpcServer& server, std::function<pb::Pong()> answer) {
  server.Handle(pb::Envelope::kPing,
                [answer = std::move(answer)](const RpcLinkPtr& link, const pb::Envelope& ping) {
                  pb::Envelope reply;
                  *reply.mutable_pong() = answer();
                  link->Reply(ping, std::move(reply));
                });
}

}  // namespace baton
