// The connections of SimulatedNetwork: what becomes of frames under way. Part of
// tests/rpc/fake_frame_transport.h, which includes it; nobody else does.

#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tests/rpc/fake_frame_transport.h"

namespace baton {

// One end of a connection.
class SimulatedNetwork::Connection final : public FrameConnection,
                                           public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<SimulatedNetwork> network, std::string process, ExecutorPtr executor,
             std::string peer_address)
      : network_(std::move(network)),
        process_(std::move(process)),
        executor_(std::move(executor)),
        peer_address_(std::move(peer_address)) {}

  ~Connection() override { TellPeer(Unavailable("{} closed the connection", process_)); }

  void Join(const std::shared_ptr<Connection>& peer) { peer_ = peer; }

  void Start(Callbacks callbacks) override {
    callbacks_ = std::move(callbacks);
    executor_->Post([self = shared_from_this()] {
      self->started_ = true;
      auto early = std::exchange(self->early_, {});
      for (auto& deliver : early) deliver();
    });
  }

  void Send(std::string frame) override {
    if (closed_ || dead_) return;
    unread_bytes_ += frame.size();
    if (unread_bytes_ > kMaxUnreadBytes) {
      return Break(ResourceExhausted("{} does not read", peer_address_));
    }
    auto peer = peer_.lock();
    if (!peer) return;
    if (network_->tap_) network_->tap_(process_, peer->process_, frame);
    Deliver(
        [self = weak_from_this(), to = std::weak_ptr(peer), frame = std::move(frame)]() mutable {
          if (auto from = self.lock()) from->unread_bytes_ -= frame.size();
          if (auto peer = to.lock()) peer->OnFrame(std::move(frame));
        });
  }

  void Close() override { Break(Aborted("closed here")); }

  void LimitFrames(size_t bytes) override { frame_limit_ = bytes; }

  std::string peer_address() const override { return peer_address_; }

  const std::string& process() const { return process_; }
  std::string peer_process() const {
    auto peer = peer_.lock();
    return peer ? peer->process_ : "";
  }
  bool open() const { return !closed_ && !dead_; }

  void Stick() { stuck_ = true; }
  void Unstick() {
    stuck_ = false;
    for (auto& send : std::exchange(stuck_here_, {})) send();
  }

  // This side hears `why`; the other side that it was closed.
  void Break(absl::Status why) {
    if (!open()) return;
    closed_ = true;
    TellPeer(Unavailable("{} closed the connection", process_));
    executor_->Post([self = shared_from_this(), why = std::move(why)] { self->OnClosed(why); });
  }

  // Its host is there again and knows nothing of this connection: whoever still sends hears so.
  void Forget() {
    auto peer = peer_.lock();
    if (!peer) return;
    peer->executor_->PostAfter(network_->Latency(), [to = std::weak_ptr(peer)] {
      auto peer = to.lock();
      if (peer) peer->Break(Unavailable("connection reset"));
    });
  }

  // Its process is dead: it hears nothing any more.
  void Die() {
    if (dead_) return;
    TellPeer(Unavailable("{} died", process_));
    dead_ = true;
  }

 private:
  static constexpr size_t kMaxUnreadBytes = 64 << 20;

  void TellPeer(absl::Status why) {
    auto peer = peer_.lock();
    if (!peer || dead_ || std::exchange(told_, true)) return;
    Deliver([to = std::weak_ptr(peer), why = std::move(why)] {
      auto peer = to.lock();
      if (!peer || !peer->open()) return;
      peer->closed_ = true;
      peer->told_ = true;
      peer->OnClosed(why);
    });
  }

  // On the other side's executor, after the latency, in order; held while the way is cut. In order
  // also when what was held is sent with younger frames, and when the two clocks run differently:
  // what arrives is always the oldest that is under way.
  void Deliver(Delivery delivery) {
    auto peer = peer_.lock();
    if (!peer) return;
    under_way_->push_back(std::move(delivery));
    const TimePoint now = executor_->Now();
    last_arrival_ = std::max(last_arrival_, now + network_->Latency());
    Delivery send = [executor = peer->executor_, delay = last_arrival_ - now,
                     under_way = under_way_]() mutable {
      executor->PostAfter(delay, [under_way = std::move(under_way)] {
        Delivery oldest = std::move(under_way->front());
        under_way->pop_front();
        oldest();
      });
    };
    if (stuck_) {
      stuck_here_.push_back(std::move(send));
    } else if (network_->IsCut(process_, peer->process_)) {
      network_->held_[{process_, peer->process_}].push_back(std::move(send));
    } else {
      send();
    }
  }

  void OnFrame(std::string frame) {
    if (!open()) return;
    if (frame.size() > frame_limit_) return Break(InvalidArgument("a frame over the limit"));
    if (started_) return Hand(std::move(frame));
    // Kept, also when the other side has closed before this one starts.
    early_.push_back([self = this, frame = std::move(frame)] { self->Hand(frame); });
  }

  void Hand(std::string frame) {
    if (callbacks_.on_frame) callbacks_.on_frame(std::move(frame));
  }

  void OnClosed(const absl::Status& why) {
    if (!started_) {
      early_.push_back([self = this, why] { self->OnClosed(why); });
      return;
    }
    auto callbacks = std::exchange(callbacks_, {});
    if (callbacks.on_closed) callbacks.on_closed(why);
  }

  const std::shared_ptr<SimulatedNetwork> network_;
  const std::string process_;
  const ExecutorPtr executor_;
  const std::string peer_address_;
  std::weak_ptr<Connection> peer_;
  Callbacks callbacks_;
  bool started_ = false;
  bool closed_ = false;
  bool dead_ = false;
  bool told_ = false;  // the other side knows, or will, that it is over
  std::vector<Delivery> early_;
  size_t frame_limit_ = kMaxFrameBytes;
  size_t unread_bytes_ = 0;
  TimePoint last_arrival_;
  const std::shared_ptr<std::deque<Delivery>> under_way_ = std::make_shared<std::deque<Delivery>>();
  bool stuck_ = false;
  std::deque<Delivery> stuck_here_;
};

}  // namespace baton
