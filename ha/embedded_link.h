// The wire between one EmbeddedClient and the server: order is kept, and faults happen here.
//
// Threading: the server's executor; the server owns it.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "base/executor.h"
#include "ha/embedded_protocol.h"

namespace baton::embedded {

// A queue through which tasks go in order, each no earlier than `delay` after it entered.
class DelayLine : public std::enable_shared_from_this<DelayLine> {
 public:
  explicit DelayLine(ExecutorPtr executor) : executor_(std::move(executor)) {}

  void SetDelay(Duration delay) { delay_ = delay; }
  void Push(Task task);

 private:
  void RunFront();

  const ExecutorPtr executor_;
  Duration delay_{};
  TimePoint last_due_{};
  std::deque<Task> queue_;
};

class Link : public std::enable_shared_from_this<Link> {
 public:
  // Takes back a watch that fired but did not reach the client: it must not be lost.
  using WatchKeeper = std::function<void(const FiredMessage&)>;

  Link(const ExecutorPtr& executor, WatchKeeper keeper);

  void SetAddress(PeerAddress address) { address_ = std::move(address); }
  bool has_peer() const { return !address_.peer.expired(); }

  bool is_cut() const { return cut_; }
  void Cut() { cut_ = true; }
  void Mend() { cut_ = false; }
  void SetDelay(Duration to_server, Duration to_client);

  // Dropped if the link is cut now; what is under way when it is cut arrives.
  void ToServer(Task handle);
  // Dropped if the link is cut now or on arrival.
  void ToClient(ServerMessage message);
  // Overtakes everything: the client's own kernel says it.
  void Deliver(ServerMessage message);

 private:
  void Lose(const ServerMessage& message);

  const WatchKeeper keeper_;
  const std::shared_ptr<DelayLine> to_server_;
  const std::shared_ptr<DelayLine> to_client_;
  PeerAddress address_{};
  bool cut_ = false;
};

}  // namespace baton::embedded
