// One link between two processes: a Handshake, then Envelopes; requests find their replies by
// correlation id. Either side may ask.
//
// Lives on the executor it was made with: its callbacks come there. Send, Call, Reply, ReplyError
// and Close may be called from any thread and keep their order; peer() is constant once it is open.
// Owned by whoever opened or accepted it; it ends with Close, with the connection, or with its last
// reference.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "rpc/frame_transport.h"
#include "rpc/handshake.h"
#include "rpc/link_identity.h"
#include "rpc/messages.pb.h"

namespace baton {

class RpcLink;
using RpcLinkPtr = std::shared_ptr<RpcLink>;

class RpcLink : public std::enable_shared_from_this<RpcLink> {
 public:
  using ReplyCallback = absl::AnyInvocable<void(absl::StatusOr<pb::Envelope>)>;
  using OpenCallback = absl::AnyInvocable<void(absl::StatusOr<RpcLinkPtr>)>;
  using MessageHandler = std::function<void(const RpcLinkPtr& link, pb::Envelope message)>;
  using ClosedHandler = std::function<void(const RpcLinkPtr& link, absl::Status why)>;

  struct Handlers {
    MessageHandler on_message;  // every Envelope that is not a reply
    ClosedHandler on_closed;    // once; pending calls have failed with kUnknown before it
  };

  // Shakes hands over a fresh connection that this side made, within `timeout`.
  // kFailedPrecondition: another cluster, another secret or no common protocol version.
  static void Open(FrameConnectionPtr connection, LinkIdentity self, ExecutorPtr executor,
                   Duration timeout, OpenCallback callback);
  // The same over one that the other side made.
  static void Accept(FrameConnectionPtr connection, LinkIdentity self, ExecutorPtr executor,
                     Duration timeout, OpenCallback callback);

  // Connects and shakes hands; the errors of FrameTransport::Connect and of Open.
  static void Connect(FrameTransport& transport, const std::string& address, LinkIdentity self,
                      ExecutorPtr executor, Duration timeout, OpenCallback callback);

  ~RpcLink();

  // Begins to deliver messages; those that came earlier are kept until then.
  void Start(Handlers handlers);

  // One-way. Silently dropped when the link is closed: its owner hears on_closed. A message over
  // kMaxFrameBytes is dropped with an error in the log (a Call ends with kInvalidArgument, a Reply
  // becomes an error): one oversized message must not cost the link that all jobs share.
  void Send(pb::Envelope message);

  // kUnknown: the link broke after the request was sent; kDeadlineExceeded: no reply in `timeout`;
  // kUnavailable: the link was closed already, nothing was sent. An Error reply arrives as its
  // status. At most 10,000 calls may be pending: then kResourceExhausted.
  void Call(pb::Envelope request, Duration timeout, ReplyCallback callback);

  // Answers `request`. The correlation id is taken from it.
  void Reply(const pb::Envelope& request, pb::Envelope reply);
  void ReplyError(const pb::Envelope& request, const absl::Status& error);

  void Close();
  bool closed() const { return closed_; }

  const pb::Hello& peer() const { return peer_; }
  // The protocol version that both sides use on this link.
  uint32_t version() const { return version_; }
  std::string peer_address() const { return connection_->peer_address(); }
  // Grows from link to link of this process: an order of links that no address decides, so that a
  // simulated run is the same each time.
  uint64_t number() const { return number_; }

 private:
  struct PendingCall {
    ReplyCallback callback;
    TimerId timer = kNoTimer;
  };

  RpcLink(FrameConnectionPtr connection, const LinkIdentity& self, LinkSide side,
          ExecutorPtr executor);

  static void Begin(RpcLinkPtr link, Duration timeout, OpenCallback callback);
  void Shake(Duration timeout, OpenCallback callback);
  void OnFrame(std::string frame);
  void OnHandshake(const std::string& frame, const pb::Envelope& envelope);
  void WarnOfUnknownKind();
  // Null when it does not fit in a frame.
  std::optional<std::string> Encode(pb::Envelope& envelope) const;
  void FinishOpen(absl::Status status);
  void OnMessage(pb::Envelope envelope);
  void OnReply(pb::Envelope envelope);
  void OnConnectionClosed(const absl::Status& why);
  void CloseBecause(absl::Status why);

  // Registers a call; 0 if it was answered with an error instead.
  uint64_t AddPending(Duration timeout, ReplyCallback& callback);
  ReplyCallback TakePending(uint64_t correlation_id);
  std::map<uint64_t, PendingCall> TakeAllPending();

  const uint64_t number_;
  const FrameConnectionPtr connection_;
  const ExecutorPtr executor_;
  // Constant once it is open:
  pb::Hello peer_;
  uint32_t version_ = kProtocolVersion;

  // On executor_:
  std::unique_ptr<Handshake> handshake_;  // null once it is over
  OpenCallback open_callback_;            // likewise
  TimerId open_timer_ = kNoTimer;
  bool started_ = false;
  bool told_closed_ = false;
  bool warned_ = false;        // of a kind of message that it does not know
  absl::Status close_reason_;  // OK: what the connection says
  Handlers handlers_;
  std::vector<pb::Envelope> early_;  // came between the handshake and Start

  std::atomic<bool> closed_ = false;
  // What came before the other side closed is delivered; what comes after our Close is not.
  std::atomic<bool> closed_here_ = false;

  std::mutex mutex_;
  // Guarded by mutex_:
  uint64_t last_correlation_id_ = 0;
  std::map<uint64_t, PendingCall> pending_;
};

}  // namespace baton
