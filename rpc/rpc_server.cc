#include "rpc/rpc_server.h"

#include <utility>

#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kHandshakeTimeout = std::chrono::seconds(5);
constexpr size_t kMaxLinks = 20'000;

}  // namespace

RpcServer::RpcServer(FrameTransportPtr transport, ExecutorPtr executor, LinkIdentity self)
    : transport_(std::move(transport)),
      executor_(std::move(executor)),
      self_(std::move(self)),
      refusals_(executor_) {}

void RpcServer::Handle(Kind kind, Handler handler) { handlers_[kind] = std::move(handler); }

void RpcServer::Observe(Observers observers) { observers_.push_back(std::move(observers)); }

absl::Status RpcServer::Start(const std::string& address) {
  auto listener = transport_->Listen(address, executor_,
                                     IfAlive(weak_from_this(), std::mem_fn(&RpcServer::OnAccept)));
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  return absl::OkStatus();
}

void RpcServer::Stop() {
  listener_.reset();
  const auto links = links_;  // each leaves links_ when it is closed
  for (const auto& [number, link] : links) link->Close();
}

std::string RpcServer::address() const { return listener_ ? listener_->address() : ""; }

void RpcServer::OnAccept(FrameConnectionPtr connection) {
  if (!listener_) return connection->Close();
  const std::string peer = connection->peer_address();
  if (links_.size() >= kMaxLinks) {
    refusals_.Warn(HostOfPeer(peer), ResourceExhausted("there are {} links", links_.size()));
    return connection->Close();
  }
  if (opening_.size() >= kMaxOpening) {
    refusals_.Warn(
        HostOfPeer(opening_.begin()->second->peer_address()),
        ResourceExhausted("{} connections shake hands; the oldest is closed", opening_.size()));
    opening_.begin()->second->Close();
    opening_.erase(opening_.begin());
  }
  const uint64_t opening = ++last_opening_;
  opening_.emplace(opening, connection);
  RpcLink::Accept(
      std::move(connection), self_, executor_, kHandshakeTimeout,
      IfAlive(weak_from_this(), [opening, peer](RpcServer& self, absl::StatusOr<RpcLinkPtr> link) {
        self.OnOpened(opening, peer, std::move(link));
      }));
}

void RpcServer::OnOpened(uint64_t opening, const std::string& peer,
                         absl::StatusOr<RpcLinkPtr> opened) {
  opening_.erase(opening);
  if (!opened.ok()) return refusals_.Warn(HostOfPeer(peer), opened.status());
  const RpcLinkPtr link = *std::move(opened);
  if (!listener_) return link->Close();  // stopped meanwhile
  links_.emplace(link->number(), link);
  for (const auto& observers : observers_) {
    if (observers.on_opened) observers.on_opened(link);
  }
  link->Start({IfAlive(weak_from_this(), std::mem_fn(&RpcServer::OnMessage)),
               IfAlive(weak_from_this(), std::mem_fn(&RpcServer::OnClosed))});
}

void RpcServer::OnMessage(const RpcLinkPtr& link, pb::Envelope message) {
  auto handler = handlers_.find(message.message_case());
  if (handler != handlers_.end()) return handler->second(link, std::move(message));
  link->ReplyError(message, absl::UnimplementedError("this process does not serve that message"));
}

void RpcServer::OnClosed(const RpcLinkPtr& link, const absl::Status& why) {
  links_.erase(link->number());
  for (const auto& observers : observers_) {
    if (observers.on_closed) observers.on_closed(link, why);
  }
}

}  // namespace baton
