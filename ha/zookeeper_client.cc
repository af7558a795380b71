#include "ha/zookeeper_client.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/session_client.h"
#include "ha/zookeeper_handle.h"
#include "ha/zookeeper_log.h"
#include "ha/zookeeper_threads.h"

namespace baton {
namespace zookeeper {
namespace {

constexpr Duration kOpenRetryDelay = std::chrono::seconds(1);

// A SessionClient whose connection is a handle of the C client, one a session. Lives on its
// executor.
//
// ZooKeeper sets a watch on a node that is missing only by `exists`. A watched Get is therefore
// exists(watch) and get, sent together; a watched Children of a missing node is followed by
// exists(watch), so that only in this case its answer comes behind those of later calls.
class ZooKeeperClient final : public SessionClient, public HandleListener {
 public:
  explicit ZooKeeperClient(ZooKeeperOptions options)
      : SessionClient(options.executor, options.session_timeout),
        quorum_(std::move(options.quorum)),
        gate_(std::make_shared<PostGate>(options.executor)) {}

  ~ZooKeeperClient() override {
    gate_->Shut();
    Retire();
  }

  void OnState(uint64_t generation, SessionEvent event) override;
  void OnWatch(uint64_t generation, uint64_t watch_id) override {
    if (generation == generation_) Fired(watch_id);
  }
  void OnReply(uint64_t generation, uint64_t token, Reply reply) override;

 private:
  // What an answer of the C client belongs to.
  enum class Step { kExistsBeforeGet, kLast, kChildren, kExistsAfterChildren };
  struct Request {
    Step step;
    uint64_t call_id;
    bool has_watcher;
    std::string path;
  };

  void BeginSession() override;
  absl::Status Transmit(Call call) override;
  void EndSession() override;

  void OnOpened(absl::StatusOr<std::unique_ptr<Handle>> handle);
  void Retire();
  uint64_t Expect(Step step, const Call& call);
  absl::Status Sent(uint64_t token, absl::Status status);
  absl::Status SendGet(const Call& call);
  void WatchForAppearance(const Request& request);
  void Complete(const Request& request, Reply reply);

  std::weak_ptr<ZooKeeperClient> Weak() {
    return std::static_pointer_cast<ZooKeeperClient>(shared_from_this());
  }

  // Constant after construction.
  const std::string quorum_;
  const std::shared_ptr<PostGate> gate_;

  // On the executor only.
  uint64_t generation_ = 0;
  std::unique_ptr<Handle> handle_;
  std::optional<SessionEvent> early_event_;  // came while the handle was on its way here
  uint64_t last_token_ = 0;
  std::unordered_map<uint64_t, Request> requests_;     // of handle_, by token
  std::unordered_map<uint64_t, absl::Status> broken_;  // calls whose watch could not be set
};

// ---- Sessions

void ZooKeeperClient::BeginSession() {
  HandleOptions options{quorum_, session_timeout(), ++generation_, gate_, Weak()};
  RunOnOpeningThread([gate = gate_, weak = Weak(), options = std::move(options)]() mutable {
    const uint64_t generation = options.generation;
    // If nobody waits for it any more, the handle goes with the task.
    auto opened = Handle::Open(std::move(options));
    gate->Post([weak, generation, opened = std::move(opened)]() mutable {
      auto self = weak.lock();
      if (self && !self->closed() && self->generation_ == generation) {
        self->OnOpened(std::move(opened));
      } else if (opened.ok()) {
        RunOnClosingThread([handle = *std::move(opened)] {});
      }
    });
  });
}

void ZooKeeperClient::OnOpened(absl::StatusOr<std::unique_ptr<Handle>> handle) {
  if (handle.ok()) {
    handle_ = *std::move(handle);
    if (auto event = std::exchange(early_event_, std::nullopt)) OnState(generation_, *event);
    return;
  }
  log::Warning("{}; trying again", Message(handle.status()));
  executor()->PostAfter(kOpenRetryDelay, IfAlive(Weak(), [](ZooKeeperClient& self) {
                          if (!self.closed()) self.BeginSession();
                        }));
}

void ZooKeeperClient::OnState(uint64_t generation, SessionEvent event) {
  if (generation != generation_) return;
  if (!handle_) {
    early_event_ = event;  // nobody is told kConnected before calls can be made
    return;
  }
  switch (event.state) {
    case SessionState::kConnected:
      ForgetLoggedMessages();
      return Connected(event.session_id);
    case SessionState::kConnecting:
      return Lost();
    case SessionState::kExpired:
      Retire();
      return Expired();
  }
}

void ZooKeeperClient::Retire() {
  ++generation_;
  early_event_.reset();
  requests_.clear();
  broken_.clear();
  if (handle_) RunOnClosingThread([handle = std::move(handle_)] {});
}

void ZooKeeperClient::EndSession() {
  gate_->Shut();
  Retire();
}

// ---- Calls

absl::Status ZooKeeperClient::Transmit(Call call) {
  if (!handle_) return Unavailable("not connected");
  const uint64_t watch_id = call.has_watcher ? call.id : 0;
  switch (call.kind) {
    case CallKind::kGet:
      return SendGet(call);
    case CallKind::kChildren: {
      const uint64_t token = Expect(Step::kChildren, call);
      return Sent(token, handle_->Children(token, call.path, watch_id));
    }
    case CallKind::kChange: {
      const uint64_t token = Expect(Step::kLast, call);
      return Sent(token, handle_->Multi(token, std::move(call.ops)));
    }
    case CallKind::kSync: {
      const uint64_t token = Expect(Step::kLast, call);
      return Sent(token, handle_->Sync(token, call.path));
    }
  }
  return Internal("unknown kind of call");
}

absl::Status ZooKeeperClient::SendGet(const Call& call) {
  if (call.has_watcher) {
    const uint64_t token = Expect(Step::kExistsBeforeGet, call);
    auto status = Sent(token, handle_->Exists(token, call.path, call.id));
    if (!status.ok()) return status;
  }
  const uint64_t token = Expect(Step::kLast, call);
  return Sent(token, handle_->Get(token, call.path));
}

uint64_t ZooKeeperClient::Expect(Step step, const Call& call) {
  requests_.emplace(++last_token_, Request{step, call.id, call.has_watcher, call.path});
  return last_token_;
}

absl::Status ZooKeeperClient::Sent(uint64_t token, absl::Status status) {
  if (!status.ok()) requests_.erase(token);
  return status;
}

void ZooKeeperClient::OnReply(uint64_t generation, uint64_t token, Reply reply) {
  if (generation != generation_) return;
  auto it = requests_.find(token);
  if (it == requests_.end()) return;
  const Request request = std::move(it->second);
  requests_.erase(it);
  handle_->Forget(token);
  const bool is_missing = absl::IsNotFound(reply.status);
  switch (request.step) {
    case Step::kExistsBeforeGet:
      // Without the watch the answer to the get is worth nothing, even if that one gets through.
      if (!reply.status.ok() && !is_missing) broken_.emplace(request.call_id, reply.status);
      return;
    case Step::kChildren:
      if (is_missing && request.has_watcher) return WatchForAppearance(request);
      return Complete(request, std::move(reply));
    case Step::kExistsAfterChildren: {
      const bool appeared = reply.status.ok();
      if (appeared) reply.status = NotFound("no node {}", request.path);
      Complete(request, std::move(reply));
      // It came between the two: what the caller waits for has happened.
      if (appeared) Fired(request.call_id);
      return;
    }
    case Step::kLast:
      return Complete(request, std::move(reply));
  }
}

void ZooKeeperClient::WatchForAppearance(const Request& request) {
  const uint64_t token = ++last_token_;
  requests_.emplace(token,
                    Request{Step::kExistsAfterChildren, request.call_id, true, request.path});
  auto status = Sent(token, handle_->Exists(token, request.path, request.call_id));
  if (!status.ok()) Complete(request, {.status = status});
}

void ZooKeeperClient::Complete(const Request& request, Reply reply) {
  if (auto broken = broken_.extract(request.call_id)) reply.status = broken.mapped();
  if (!reply.status.ok()) reply.status = At(request.path, reply.status);
  Answered(request.call_id, {{std::move(reply.status), reply.failed_op},
                             std::move(reply.node),
                             std::move(reply.children)});
}

}  // namespace
}  // namespace zookeeper

CoordinationClientPtr NewZooKeeperClient(ZooKeeperOptions options) {
  return std::make_shared<zookeeper::ZooKeeperClient>(std::move(options));
}

}  // namespace baton
