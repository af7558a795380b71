// Length-framed bytes between two processes: what an RPC link stands on, and the seam at which a
// simulator cuts, delays, loses and duplicates.
//
// Wire: 4 bytes length (big endian), then the frame; at most kMaxFrameBytes. AsioFrameTransport is
// the real one.

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"

namespace baton {

inline constexpr size_t kMaxFrameBytes = 16 << 20;

// One connection. Callbacks come on the executor given to Connect or Listen, in order, and stop
// with on_closed (exactly once, also after one's own Close). Methods: any thread.
class FrameConnection {
 public:
  struct Callbacks {
    std::function<void(std::string frame)> on_frame;
    std::function<void(absl::Status why)> on_closed;
  };

  virtual ~FrameConnection() = default;

  // Begins to deliver; call it once. Frames that came earlier are kept until then.
  virtual void Start(Callbacks callbacks) = 0;

  // Queues a frame. A peer that does not read is dropped: once more than the transport's limit
  // (64 MiB) waits to be sent, the connection closes with kResourceExhausted.
  virtual void Send(std::string frame) = 0;

  virtual void Close() = 0;

  // A longer frame that comes from now on closes the connection with kInvalidArgument, as its
  // header alone has come; kMaxFrameBytes at first.
  virtual void LimitFrames(size_t bytes) = 0;

  // "host:port" of the other side, for logs.
  virtual std::string peer_address() const = 0;
};
using FrameConnectionPtr = std::shared_ptr<FrameConnection>;

class FrameListener {
 public:
  virtual ~FrameListener() = default;       // stops listening; accepted connections live on
  virtual std::string address() const = 0;  // "host:port" with the port really bound
};

class FrameTransport {
 public:
  using ConnectCallback = absl::AnyInvocable<void(absl::StatusOr<FrameConnectionPtr>)>;
  using AcceptCallback = std::function<void(FrameConnectionPtr)>;

  virtual ~FrameTransport() = default;

  // kUnavailable: refused, nobody listens there (see IsRefused); kDeadlineExceeded: no answer
  // within `timeout`; kInvalidArgument: no such address. The callback comes on `executor`.
  virtual void Connect(const std::string& address, Duration timeout, ExecutorPtr executor,
                       ConnectCallback callback) = 0;

  // "host:0" takes a free port. The callback comes on `executor`.
  virtual absl::StatusOr<std::unique_ptr<FrameListener>> Listen(const std::string& address,
                                                                ExecutorPtr executor,
                                                                AcceptCallback on_accept) = 0;
};
using FrameTransportPtr = std::shared_ptr<FrameTransport>;

// The host answered that nobody listens: the process that did is dead (3.4, 3.6). Silence is not
// refusal.
inline bool IsRefused(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable;
}

}  // namespace baton
