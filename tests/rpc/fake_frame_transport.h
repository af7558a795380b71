// The network of a simulated cluster: several processes in one thread, on ManualExecutors, with the
// faults of real networks and deterministic by its seed.
//
// It behaves as TCP does: frames of a connection arrive in order or not at all. A cut loses nothing
// (what was sent is delivered after Heal, as retransmission would) but tells nobody; a connect
// across a cut times out. The death of a process closes its connections and refuses new ones at
// once, because its kernel lives; the loss of a host does not. A paused process (its executor is
// paused) goes on accepting, as a kernel's backlog does, and answers nothing.

#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/status.h"
#include "rpc/frame_transport.h"

namespace baton {

class SimulatedNetwork : public std::enable_shared_from_this<SimulatedNetwork> {
 public:
  explicit SimulatedNetwork(uint64_t seed) : random_(NewSeededRandom(seed)) {}

  // The transport of one process. The name is the test's; a process that is started again after
  // Kill takes the same name and a transport of its own.
  FrameTransportPtr NewProcess(const std::string& process);

  // Each frame takes `base` and up to `jitter` more.
  void SetLatency(Duration base, Duration jitter) {
    latency_ = base;
    jitter_ = jitter;
  }

  // The process died (kill -9): nobody hears from it, everyone hears of it.
  void Kill(const std::string& process);
  // Its host died, or lost power: nobody hears of it either.
  void LoseHost(const std::string& process);

  // Both directions, or one. Cut from itself: no effect.
  void Cut(const std::string& a, const std::string& b) {
    CutOneWay(a, b);
    CutOneWay(b, a);
  }
  void CutOneWay(const std::string& from, const std::string& to) { cuts_.insert({from, to}); }
  void Heal(const std::string& a, const std::string& b) {
    HealOneWay(a, b);
    HealOneWay(b, a);
  }
  void HealOneWay(const std::string& from, const std::string& to) {
    if (cuts_.erase({from, to}) > 0) NoteHealed({from, to});
    Flush({from, to});
  }
  void HealAll();

  // Every connection between the two breaks; both hear of it, ports stay open.
  void Reset(const std::string& a, const std::string& b);

  // Another name of an address, by which it can be reached, too.
  void AddName(const std::string& name, const std::string& address) { names_[name] = address; }
  // The addresses at which one process has connected to another, in their order.
  std::vector<std::string> AddressesBetween(const std::string& from, const std::string& to) const;
  // Of the connections between two processes only that which `from` has made to this address: it
  // breaks, or what `from` sends is stuck in it (as segments are that are lost and sent again, and
  // lost) until Unstick.
  void ResetOne(const std::string& from, const std::string& address);
  void Stick(const std::string& from, const std::string& address);
  void Unstick(const std::string& from, const std::string& address);

  // Sees every frame when it is sent.
  using Tap =
      std::function<void(const std::string& from, const std::string& to, const std::string& frame)>;
  void Overhear(Tap tap) { tap_ = std::move(tap); }

  // By which clock cuts are remembered.
  void KeepTime(ExecutorPtr executor) { clock_ = std::move(executor); }
  // When something last was, or is, in the way from here to there.
  std::optional<TimePoint> LastCut(const std::string& from, const std::string& to) const;

  size_t open_connections() const;

  // Nothing comes through from here to there.
  bool IsCut(const std::string& from, const std::string& to) const {
    return lost_hosts_.contains(from) || lost_hosts_.contains(to) || cuts_.contains({from, to});
  }

 private:
  class Connection;
  class Listener;
  class Transport;
  using Direction = std::pair<std::string, std::string>;  // from, to
  using Delivery = absl::AnyInvocable<void()>;

  struct ListenerEntry {
    std::string process;
    ExecutorPtr executor;
    FrameTransport::AcceptCallback on_accept;
    uint64_t id = 0;
  };

  Duration Latency() {
    return latency_ + (jitter_ > Duration::zero() ? random_->Below(jitter_) : Duration::zero());
  }
  void Flush(const Direction& direction);
  void NoteHealed(const Direction& direction) {
    if (clock_) healed_[direction] = clock_->Now();
  }
  std::vector<std::shared_ptr<Connection>> ConnectionsTo(const std::string& from,
                                                         const std::string& address) const;

  void Connect(const std::string& process, const std::string& address, Duration timeout,
               ExecutorPtr executor, FrameTransport::ConnectCallback callback);
  absl::StatusOr<std::unique_ptr<FrameListener>> Listen(const std::string& process,
                                                        const std::string& address,
                                                        ExecutorPtr executor,
                                                        FrameTransport::AcceptCallback on_accept);

  const RandomPtr random_;
  Duration latency_ = std::chrono::microseconds(100);
  Duration jitter_ = Duration::zero();
  std::map<std::string, ListenerEntry> listeners_;  // by address
  std::map<std::string, std::string> owners_;       // address → the process that had it last
  std::vector<std::weak_ptr<Connection>> connections_;
  std::set<Direction> cuts_;
  std::set<std::string> lost_hosts_;
  std::map<Direction, std::deque<Delivery>> held_;  // by cuts
  std::map<Direction, TimePoint> healed_;           // cuts that are over, the last of each
  std::map<std::string, std::string> names_;
  Tap tap_;
  ExecutorPtr clock_;
  int last_port_ = 20000;
  uint64_t last_listener_ = 0;
};
using SimulatedNetworkPtr = std::shared_ptr<SimulatedNetwork>;

}  // namespace baton

#include "tests/rpc/simulated_connection.h"

namespace baton {

class SimulatedNetwork::Listener final : public FrameListener {
 public:
  Listener(std::weak_ptr<SimulatedNetwork> network, std::string address, uint64_t id)
      : network_(std::move(network)), address_(std::move(address)), id_(id) {}
  ~Listener() override {
    auto network = network_.lock();
    if (!network) return;
    auto found = network->listeners_.find(address_);
    // A process that took the place of a dead one listens under the same address.
    if (found != network->listeners_.end() && found->second.id == id_) {
      network->listeners_.erase(found);
    }
  }
  std::string address() const override { return address_; }

 private:
  const std::weak_ptr<SimulatedNetwork> network_;
  const std::string address_;
  const uint64_t id_;
};

class SimulatedNetwork::Transport final : public FrameTransport {
 public:
  Transport(std::shared_ptr<SimulatedNetwork> network, std::string process)
      : network_(std::move(network)), process_(std::move(process)) {}

  void Connect(const std::string& address, Duration timeout, ExecutorPtr executor,
               ConnectCallback callback) override {
    network_->Connect(process_, address, timeout, std::move(executor), std::move(callback));
  }
  absl::StatusOr<std::unique_ptr<FrameListener>> Listen(const std::string& address,
                                                        ExecutorPtr executor,
                                                        AcceptCallback on_accept) override {
    return network_->Listen(process_, address, std::move(executor), std::move(on_accept));
  }

 private:
  const std::shared_ptr<SimulatedNetwork> network_;
  const std::string process_;
};

inline FrameTransportPtr SimulatedNetwork::NewProcess(const std::string& process) {
  if (lost_hosts_.erase(process) > 0) {
    for (const auto& weak : std::vector(connections_)) {
      auto connection = weak.lock();
      if (connection && connection->process() == process) connection->Forget();
    }
  }
  return std::make_shared<Transport>(shared_from_this(), process);
}

inline void SimulatedNetwork::Connect(const std::string& process, const std::string& address,
                                      Duration timeout, ExecutorPtr executor,
                                      FrameTransport::ConnectCallback callback) {
  const auto named = names_.find(address);
  const std::string& bound = named == names_.end() ? address : named->second;
  const auto owner = owners_.find(bound);
  const bool known = owner != owners_.end();
  if (known && (IsCut(process, owner->second) || IsCut(owner->second, process))) {
    executor->PostAfter(timeout, [address, callback = std::move(callback)]() mutable {
      callback(DeadlineExceeded("no answer from {}", address));
    });
    return;
  }
  const Duration there = Latency();
  const auto entry = listeners_.find(bound);
  if (entry == listeners_.end()) {
    executor->PostAfter(2 * there, [address, callback = std::move(callback)]() mutable {
      callback(Unavailable("{} refused the connection", address));
    });
    return;
  }
  const auto& listener = entry->second;
  auto near = std::make_shared<Connection>(shared_from_this(), process, executor, address);
  auto far = std::make_shared<Connection>(shared_from_this(), listener.process, listener.executor,
                                          process + ":" + std::to_string(++last_port_));
  near->Join(far);
  far->Join(near);
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  connections_.push_back(near);
  connections_.push_back(far);
  listener.executor->PostAfter(there, [on_accept = listener.on_accept, far] { on_accept(far); });
  executor->PostAfter(2 * there, [near, callback = std::move(callback)]() mutable {
    callback(FrameConnectionPtr(near));
  });
}

inline absl::StatusOr<std::unique_ptr<FrameListener>> SimulatedNetwork::Listen(
    const std::string& process, const std::string& address, ExecutorPtr executor,
    FrameTransport::AcceptCallback on_accept) {
  std::string bound = address;
  if (bound.ends_with(":0")) {
    bound = bound.substr(0, bound.size() - 1) + std::to_string(++last_port_);
  }
  if (listeners_.contains(bound)) return AlreadyExists("{} is in use", bound);
  const uint64_t id = ++last_listener_;
  listeners_[bound] = {process, std::move(executor), std::move(on_accept), id};
  owners_[bound] = process;
  return std::make_unique<Listener>(weak_from_this(), bound, id);
}

inline void SimulatedNetwork::Kill(const std::string& process) {
  std::erase_if(listeners_, [&](const auto& entry) { return entry.second.process == process; });
  for (const auto& weak : std::vector(connections_)) {
    auto connection = weak.lock();
    if (connection && connection->process() == process) connection->Die();
  }
}

inline void SimulatedNetwork::LoseHost(const std::string& process) {
  lost_hosts_.insert(process);
  Kill(process);
  std::erase_if(held_, [&](const auto& entry) {
    return entry.first.first == process || entry.first.second == process;
  });
}

inline void SimulatedNetwork::HealAll() {
  for (const Direction& direction : std::exchange(cuts_, {})) {
    NoteHealed(direction);
    Flush(direction);
  }
}

inline std::optional<TimePoint> SimulatedNetwork::LastCut(const std::string& from,
                                                          const std::string& to) const {
  if (IsCut(from, to)) return clock_->Now();
  const auto healed = healed_.find({from, to});
  if (healed == healed_.end()) return std::nullopt;
  return healed->second;
}

inline std::vector<std::shared_ptr<SimulatedNetwork::Connection>> SimulatedNetwork::ConnectionsTo(
    const std::string& from, const std::string& address) const {
  std::vector<std::shared_ptr<Connection>> found;
  for (const auto& weak : connections_) {
    auto connection = weak.lock();
    if (connection && connection->open() && connection->process() == from &&
        connection->peer_address() == address) {
      found.push_back(std::move(connection));
    }
  }
  return found;
}

inline std::vector<std::string> SimulatedNetwork::AddressesBetween(const std::string& from,
                                                                   const std::string& to) const {
  std::set<std::string> addresses;
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (!connection || !connection->open() || connection->process() != from) continue;
    const bool is_listener =
        owners_.contains(connection->peer_address()) || names_.contains(connection->peer_address());
    if (is_listener && connection->peer_process() == to) {
      addresses.insert(connection->peer_address());
    }
  }
  return {addresses.begin(), addresses.end()};
}

inline void SimulatedNetwork::ResetOne(const std::string& from, const std::string& address) {
  for (const auto& connection : ConnectionsTo(from, address)) {
    connection->Break(Unavailable("connection reset"));
  }
}

inline void SimulatedNetwork::Stick(const std::string& from, const std::string& address) {
  for (const auto& connection : ConnectionsTo(from, address)) connection->Stick();
}

inline void SimulatedNetwork::Unstick(const std::string& from, const std::string& address) {
  for (const auto& connection : ConnectionsTo(from, address)) connection->Unstick();
}

inline void SimulatedNetwork::Flush(const Direction& direction) {
  if (IsCut(direction.first, direction.second)) return;
  auto node = held_.extract(direction);
  if (node.empty()) return;
  for (auto& send : node.mapped()) send();
}

inline void SimulatedNetwork::Reset(const std::string& a, const std::string& b) {
  for (const auto& weak : std::vector(connections_)) {
    auto connection = weak.lock();
    if (!connection) continue;
    if ((connection->process() == a && connection->peer_process() == b) ||
        (connection->process() == b && connection->peer_process() == a)) {
      connection->Break(Unavailable("connection reset"));
    }
  }
}

inline size_t SimulatedNetwork::open_connections() const {
  return static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(), [](const auto& weak) {
        auto connection = weak.lock();
        return connection && connection->open();
      }));
}

}  // namespace baton
