#include "rpc/rpc_link.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr size_t kMaxPendingCalls = 10'000;
constexpr size_t kMaxEarlyMessages = 10'000;

absl::Status FromError(const pb::Error& error) {
  const auto last = static_cast<uint32_t>(absl::StatusCode::kUnauthenticated);
  const bool known = error.code() != 0 && error.code() <= last;
  const auto code =
      known ? static_cast<absl::StatusCode>(error.code()) : absl::StatusCode::kUnknown;
  return absl::Status(code, error.message());
}

uint64_t NextNumber() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

pb::Envelope ToEnvelope(const absl::Status& error) {
  pb::Envelope envelope;
  envelope.mutable_error()->set_code(static_cast<uint32_t>(error.code()));
  envelope.mutable_error()->set_message(Message(error));
  return envelope;
}

absl::Status TooLarge(const pb::Envelope& envelope) {
  return InvalidArgument("a message of {} bytes (kind {}) is over the limit of {}",
                         envelope.ByteSizeLong(), static_cast<int>(envelope.message_case()),
                         kMaxFrameBytes);
}

}  // namespace

RpcLink::RpcLink(FrameConnectionPtr connection, const LinkIdentity& self, LinkSide side,
                 ExecutorPtr executor)
    : number_(NextNumber()),
      connection_(std::move(connection)),
      executor_(std::move(executor)),
      handshake_(std::make_unique<Handshake>(self, side, connection_->peer_address())) {
  // Whoever has proved nothing yet must not fill the memory. Only where a proof is asked for: then
  // the connector sends nothing more before it has ours, so the limit is lifted in time.
  if (self.secrets && side == LinkSide::kAcceptor) {
    connection_->LimitFrames(Handshake::kMaxFrameBytes);
  }
}

RpcLink::~RpcLink() {
  connection_->Close();
  for (auto& [id, call] : TakeAllPending()) {
    executor_->Cancel(call.timer);
    executor_->Post([callback = std::move(call.callback)]() mutable {
      callback(Unknown("the link was given up while the call was pending"));
    });
  }
}

void RpcLink::Open(FrameConnectionPtr connection, LinkIdentity self, ExecutorPtr executor,
                   Duration timeout, OpenCallback callback) {
  RpcLinkPtr link(
      new RpcLink(std::move(connection), self, LinkSide::kConnector, std::move(executor)));
  Begin(std::move(link), timeout, std::move(callback));
}

void RpcLink::Accept(FrameConnectionPtr connection, LinkIdentity self, ExecutorPtr executor,
                     Duration timeout, OpenCallback callback) {
  RpcLinkPtr link(
      new RpcLink(std::move(connection), self, LinkSide::kAcceptor, std::move(executor)));
  Begin(std::move(link), timeout, std::move(callback));
}

void RpcLink::Begin(RpcLinkPtr link, Duration timeout, OpenCallback callback) {
  Executor& executor = *link->executor_;
  executor.Post([link = std::move(link), timeout, callback = std::move(callback)]() mutable {
    link->Shake(timeout, std::move(callback));
  });
}

void RpcLink::Connect(FrameTransport& transport, const std::string& address, LinkIdentity self,
                      ExecutorPtr executor, Duration timeout, OpenCallback callback) {
  const TimePoint deadline = executor->Now() + timeout;
  transport.Connect(address, timeout, executor,
                    [self = std::move(self), executor, deadline, callback = std::move(callback)](
                        absl::StatusOr<FrameConnectionPtr> connection) mutable {
                      if (!connection.ok()) return callback(connection.status());
                      Open(*std::move(connection), std::move(self), executor,
                           deadline - executor->Now(), std::move(callback));
                    });
}

void RpcLink::Shake(Duration timeout, OpenCallback callback) {
  open_callback_ = std::move(callback);
  // The timer owns the link until the handshake is over: nobody else knows it yet.
  open_timer_ = executor_->PostAfter(timeout, [self = shared_from_this(), timeout] {
    self->CloseBecause(DeadlineExceeded("{} did not shake hands within {} ms", self->peer_address(),
                                        ToMillis(timeout)));
  });
  connection_->Send(handshake_->first_frame());
  connection_->Start({IfAlive(weak_from_this(), std::mem_fn(&RpcLink::OnFrame)),
                      IfAlive(weak_from_this(), std::mem_fn(&RpcLink::OnConnectionClosed))});
}

void RpcLink::OnFrame(std::string frame) {
  if (closed_) return;
  pb::Envelope envelope;
  if (!envelope.ParseFromString(frame)) {
    return CloseBecause(
        InvalidArgument("{} sent {} bytes that are no message", peer_address(), frame.size()));
  }
  if (open_callback_) {
    OnHandshake(frame, envelope);
  } else if (envelope.is_reply()) {
    OnReply(std::move(envelope));
  } else {
    OnMessage(std::move(envelope));
  }
}

void RpcLink::OnHandshake(const std::string& frame, const pb::Envelope& envelope) {
  auto step = handshake_->OnFrame(frame, envelope);
  if (!step.ok()) {
    // Tell the other side why, unless it was the one to say so.
    if (!envelope.has_error()) Send(ToEnvelope(step.status()));
    return CloseBecause(step.status());
  }
  if (step->open) connection_->LimitFrames(kMaxFrameBytes);
  if (!step->send.empty()) connection_->Send(std::move(step->send));
  if (!step->open) return;
  peer_ = handshake_->peer();
  version_ = handshake_->version();
  FinishOpen(absl::OkStatus());
}

void RpcLink::FinishOpen(absl::Status status) {
  const RpcLinkPtr self = shared_from_this();  // the timer may be the last owner
  executor_->Cancel(std::exchange(open_timer_, kNoTimer));
  OpenCallback callback = std::exchange(open_callback_, nullptr);
  handshake_ = nullptr;
  if (status.ok()) {
    callback(self);
  } else {
    callback(std::move(status));
  }
}

void RpcLink::Start(Handlers handlers) {
  // In the callback of Open, at once: the messages behind the other Hello may be many.
  if (executor_->RunsInThisThread() && early_.empty() && !told_closed_) {
    handlers_ = std::move(handlers);
    started_ = true;
    return;
  }
  executor_->Post([self = shared_from_this(), handlers = std::move(handlers)]() mutable {
    self->handlers_ = std::move(handlers);
    self->started_ = true;
    for (auto& message : std::exchange(self->early_, {})) {
      if (!self->closed_here_) self->handlers_.on_message(self, std::move(message));
    }
    if (self->told_closed_) self->OnConnectionClosed(self->close_reason_);
  });
}

void RpcLink::OnMessage(pb::Envelope envelope) {
  if (envelope.message_case() == pb::Envelope::MESSAGE_NOT_SET) {
    // A kind that a later version knows.
    if (envelope.correlation_id() == 0) return WarnOfUnknownKind();
    return ReplyError(envelope, absl::UnimplementedError("unknown kind of message"));
  }
  if (started_) return handlers_.on_message(shared_from_this(), std::move(envelope));
  early_.push_back(std::move(envelope));
  if (early_.size() > kMaxEarlyMessages) {
    CloseBecause(ResourceExhausted("{} sent too much before it was listened to", peer_address()));
  }
}

// It wants no reply, so nobody would hear of it.
void RpcLink::WarnOfUnknownKind() {
  if (std::exchange(warned_, true)) return;
  log::Warning("message of an unknown kind dropped peer={} id={} version={}", peer_address(),
               peer_.id(), version_);
}

void RpcLink::OnReply(pb::Envelope envelope) {
  ReplyCallback callback = TakePending(envelope.correlation_id());
  if (!callback) return;  // it came after its timeout
  if (envelope.has_error()) return callback(FromError(envelope.error()));
  callback(std::move(envelope));
}

void RpcLink::OnConnectionClosed(const absl::Status& why) {
  closed_ = true;
  if (close_reason_.ok()) close_reason_ = why;
  if (open_callback_) return FinishOpen(close_reason_);
  for (auto& [id, call] : TakeAllPending()) {
    executor_->Cancel(call.timer);
    call.callback(Unknown("the link broke before the reply: {}", Message(close_reason_)));
  }
  told_closed_ = true;
  if (!started_) return;  // Start tells it
  // Moved out: the handlers may own what owns this link.
  const Handlers handlers = std::exchange(handlers_, {});
  if (handlers.on_closed) handlers.on_closed(shared_from_this(), close_reason_);
}

void RpcLink::CloseBecause(absl::Status why) {
  if (close_reason_.ok()) close_reason_ = std::move(why);
  Close();
  // Nobody but the timer may own the link yet: it would not live to hear that it is closed.
  if (open_callback_) FinishOpen(close_reason_);
}

void RpcLink::Close() {
  closed_here_ = true;
  closed_ = true;
  connection_->Close();
}

std::optional<std::string> RpcLink::Encode(pb::Envelope& envelope) const {
  envelope.set_protocol_version(version_);
  if (envelope.ByteSizeLong() > kMaxFrameBytes) return std::nullopt;
  return envelope.SerializeAsString();
}

void RpcLink::Send(pb::Envelope message) {
  if (closed_) return;
  if (auto bytes = Encode(message)) return connection_->Send(*std::move(bytes));
  log::Error("message dropped peer={} error=\"{}\"", peer_address(), Message(TooLarge(message)));
}

void RpcLink::Call(pb::Envelope request, Duration timeout, ReplyCallback callback) {
  const uint64_t id = AddPending(timeout, callback);
  if (id == 0) return;
  request.set_correlation_id(id);
  if (auto bytes = Encode(request)) return connection_->Send(*std::move(bytes));
  ReplyCallback failed = TakePending(id);
  if (!failed) return;  // the link broke meanwhile
  executor_->Post([failed = std::move(failed), status = TooLarge(request)]() mutable {
    failed(std::move(status));
  });
}

uint64_t RpcLink::AddPending(Duration timeout, ReplyCallback& callback) {
  std::lock_guard lock(mutex_);
  if (closed_ || pending_.size() >= kMaxPendingCalls) {
    absl::Status status =
        closed_ ? Unavailable("the link to {} is closed", peer_address())
                : ResourceExhausted("{} calls to {} are pending", pending_.size(), peer_address());
    executor_->Post([callback = std::move(callback), status = std::move(status)]() mutable {
      callback(std::move(status));
    });
    return 0;
  }
  const uint64_t id = ++last_correlation_id_;
  const TimerId timer = executor_->PostAfter(timeout, [weak = weak_from_this(), id, timeout] {
    auto self = weak.lock();
    ReplyCallback late = self ? self->TakePending(id) : nullptr;
    if (!late) return;
    late(
        DeadlineExceeded("no reply from {} within {} ms", self->peer_address(), ToMillis(timeout)));
  });
  pending_.emplace(id, PendingCall{std::move(callback), timer});
  return id;
}

RpcLink::ReplyCallback RpcLink::TakePending(uint64_t correlation_id) {
  std::lock_guard lock(mutex_);
  auto it = pending_.find(correlation_id);
  if (it == pending_.end()) return nullptr;
  executor_->Cancel(it->second.timer);
  ReplyCallback callback = std::move(it->second.callback);
  pending_.erase(it);
  return callback;
}

std::map<uint64_t, RpcLink::PendingCall> RpcLink::TakeAllPending() {
  std::lock_guard lock(mutex_);
  return std::exchange(pending_, {});
}

void RpcLink::Reply(const pb::Envelope& request, pb::Envelope reply) {
  if (request.correlation_id() == 0) return;  // it wanted none
  reply.set_correlation_id(request.correlation_id());
  reply.set_is_reply(true);
  if (reply.ByteSizeLong() + 16 > kMaxFrameBytes) return ReplyError(request, TooLarge(reply));
  Send(std::move(reply));
}

void RpcLink::ReplyError(const pb::Envelope& request, const absl::Status& error) {
  Reply(request, ToEnvelope(error));
}

}  // namespace baton
