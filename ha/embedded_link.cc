#include "ha/embedded_link.h"

#include <algorithm>

namespace baton::embedded {

void DelayLine::Push(Task task) {
  const TimePoint now = executor_->Now();
  if (queue_.empty() && delay_ == Duration::zero()) {
    task();
    return;
  }
  last_due_ = std::max(last_due_, now + delay_);
  queue_.push_back(std::move(task));
  executor_->PostAfter(last_due_ - now,
                       IfAlive(weak_from_this(), [](DelayLine& line) { line.RunFront(); }));
}

void DelayLine::RunFront() {
  Task task = std::move(queue_.front());
  queue_.pop_front();
  task();
}

Link::Link(const ExecutorPtr& executor, WatchKeeper keeper)
    : keeper_(std::move(keeper)),
      to_server_(std::make_shared<DelayLine>(executor)),
      to_client_(std::make_shared<DelayLine>(executor)) {}

void Link::SetDelay(Duration to_server, Duration to_client) {
  to_server_->SetDelay(to_server);
  to_client_->SetDelay(to_client);
}

void Link::ToServer(Task handle) {
  if (!cut_) to_server_->Push(std::move(handle));
}

void Link::ToClient(ServerMessage message) {
  if (cut_) return Lose(message);
  to_client_->Push(IfAlive(weak_from_this(), [message = std::move(message)](Link& link) mutable {
    if (link.cut_) return link.Lose(message);
    link.Deliver(std::move(message));
  }));
}

void Link::Deliver(ServerMessage message) {
  if (!address_.executor) return;
  address_.executor->Post([peer = address_.peer, message = std::move(message)]() mutable {
    if (auto alive = peer.lock()) alive->Receive(std::move(message));
  });
}

void Link::Lose(const ServerMessage& message) {
  if (const auto* fired = std::get_if<FiredMessage>(&message)) keeper_(*fired);
}

}  // namespace baton::embedded
