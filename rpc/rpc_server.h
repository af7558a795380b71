// Accepts links on a replica's RPC port and takes each message to the service that registered for
// its kind, on that service's executor.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "rpc/refusal_log.h"
#include "rpc/rpc_link.h"

namespace baton {

// Lives on one executor (that of its links); Start and Stop are called there. Handle is called
// before Start.
class RpcServer : public std::enable_shared_from_this<RpcServer> {
 public:
  // Connections that are shaking hands. Beyond, the oldest are closed: a handshake takes
  // milliseconds, so whoever opens connections and says nothing only loses its own.
  static constexpr size_t kMaxOpening = 1'000;

  using Kind = pb::Envelope::MessageCase;
  // Called on the executor of the server. Reply through the link (also later, and only there).
  using Handler = RpcLink::MessageHandler;

  struct Observers {
    std::function<void(const RpcLinkPtr&)> on_opened;
    RpcLink::ClosedHandler on_closed;
  };

  RpcServer(FrameTransportPtr transport, ExecutorPtr executor, LinkIdentity self);

  // A message whose kind nobody handles is answered with kUnimplemented.
  void Handle(Kind kind, Handler handler);
  // Each observer hears every link; before Start.
  void Observe(Observers observers);

  absl::Status Start(const std::string& address);
  // Stops listening and closes every link.
  void Stop();

  // "host:port" with the port really bound; after Start.
  std::string address() const;

 private:
  void OnAccept(FrameConnectionPtr connection);
  void OnOpened(uint64_t opening, const std::string& peer, absl::StatusOr<RpcLinkPtr> opened);
  void OnMessage(const RpcLinkPtr& link, pb::Envelope message);
  void OnClosed(const RpcLinkPtr& link, const absl::Status& why);

  const FrameTransportPtr transport_;
  const ExecutorPtr executor_;
  const LinkIdentity self_;
  std::map<Kind, Handler> handlers_;
  std::vector<Observers> observers_;
  std::unique_ptr<FrameListener> listener_;
  std::map<uint64_t, RpcLinkPtr> links_;            // by number
  std::map<uint64_t, FrameConnectionPtr> opening_;  // not yet shaken hands, the oldest first
  uint64_t last_opening_ = 0;
  RefusalLog refusals_;
};

}  // namespace baton
