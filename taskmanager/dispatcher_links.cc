#include "taskmanager/dispatcher_links.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"

namespace baton {

DispatcherLinks::DispatcherLinks(Dependencies dependencies)
    : dependencies_(std::move(dependencies)), refusals_(dependencies_.executor) {}

void DispatcherLinks::Start(Listener listener) { listener_ = std::move(listener); }

void DispatcherLinks::Stop() {
  listener_ = {};
  SetAddresses({});
}

void DispatcherLinks::SetAddresses(const std::set<std::string>& addresses) {
  std::vector<RpcLinkPtr> dropped;
  for (auto it = peers_.begin(); it != peers_.end();) {
    if (addresses.contains(it->first)) {
      ++it;
      continue;
    }
    dependencies_.executor->Cancel(it->second.retry);
    if (it->second.link) dropped.push_back(it->second.link);
    it = peers_.erase(it);
  }
  for (const auto& link : dropped) {
    link->Close();
    if (listener_.on_closed) listener_.on_closed(link, Aborted("no dispatcher is there any more"));
  }
  for (const auto& address : addresses) {
    if (peers_.size() >= kMaxAddresses || peers_.contains(address)) continue;
    peers_.emplace(address, Peer{});
    Connect(address);
  }
}

RpcLinkPtr DispatcherLinks::FindLeader(const pb::LeaderRecord& leader) const {
  for (const auto& [address, peer] : peers_) {
    if (peer.link && !leader.incarnation().empty() &&
        peer.link->peer().incarnation() == leader.incarnation()) {
      return peer.link;
    }
  }
  return FindAt(leader.rpc_address());
}

RpcLinkPtr DispatcherLinks::FindAt(const std::string& address) const {
  auto it = peers_.find(address);
  return it == peers_.end() ? nullptr : it->second.link;
}

void DispatcherLinks::Connect(const std::string& address) {
  auto it = peers_.find(address);
  if (it == peers_.end() || it->second.connecting || it->second.link) return;
  it->second.connecting = true;
  it->second.retry = kNoTimer;
  RpcLink::Connect(
      *dependencies_.transport, address, dependencies_.self, dependencies_.executor,
      kConnectTimeout,
      IfAlive(weak_from_this(), [address](DispatcherLinks& self, absl::StatusOr<RpcLinkPtr> link) {
        self.OnConnected(address, std::move(link));
      }));
}

void DispatcherLinks::OnConnected(const std::string& address, absl::StatusOr<RpcLinkPtr> link) {
  auto it = peers_.find(address);
  if (it == peers_.end()) {  // not wanted any more
    if (link.ok()) (*link)->Close();
    return;
  }
  Peer& peer = it->second;
  peer.connecting = false;
  if (!link.ok()) {
    if (link.status().code() == absl::StatusCode::kFailedPrecondition) {
      refusals_.Warn(address, link.status());
    }
    return RetryLater(address, &peer);
  }
  if (peer.link) return (*link)->Close();
  peer.link = *std::move(link);
  const RpcLinkPtr opened = peer.link;
  opened->Start({.on_message = IfAlive(weak_from_this(),
                                       [address](DispatcherLinks& self, const RpcLinkPtr& from,
                                                 pb::Envelope message) {
                                         auto found = self.peers_.find(address);
                                         if (found == self.peers_.end()) return;
                                         // It serves us: the next break is a new one.
                                         found->second.backoff = kLeastBackoff;
                                         if (self.listener_.on_message) {
                                           self.listener_.on_message(from, std::move(message));
                                         }
                                       }),
                 .on_closed = IfAlive(
                     weak_from_this(),
                     [address](DispatcherLinks& self, const RpcLinkPtr& closed,
                               const absl::Status& why) { self.OnClosed(address, closed, why); })});
  if (listener_.on_opened) listener_.on_opened(opened);
}

void DispatcherLinks::OnClosed(const std::string& address, const RpcLinkPtr& link,
                               const absl::Status& why) {
  auto it = peers_.find(address);
  if (it == peers_.end() || it->second.link != link) return;
  it->second.link = nullptr;
  log::Debug("link to a dispatcher closed address={}: {}", address, Message(why));
  RetryLater(address, &it->second);
  if (listener_.on_closed) listener_.on_closed(link, why);
}

void DispatcherLinks::RetryLater(const std::string& address, Peer* peer) {
  // The jitter keeps the workers of a cluster from knocking in step.
  const Duration delay = peer->backoff / 2 + dependencies_.random->Below(peer->backoff / 2);
  peer->backoff = std::min(peer->backoff * 2, kMostBackoff);
  peer->retry = dependencies_.executor->PostAfter(
      delay,
      IfAlive(weak_from_this(), [address](DispatcherLinks& self) { self.Connect(address); }));
}

}  // namespace baton
