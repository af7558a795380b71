// What travels between an EmbeddedClient and the EmbeddedCoordinationServer, by posting.
//
// A connection is numbered by its client, and every message but a watch that fired carries the
// number: what belongs to an older connection is dropped, as bytes of a closed socket are.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "ha/coordination_client.h"

namespace baton::embedded {

// Unique among the clients of a server.
using ClientId = uint64_t;
using ConnectionId = uint64_t;
inline constexpr ConnectionId kNoConnection = 0;

struct ConnectRequest {
  ConnectionId connection;
  int64_t session_id;  // 0: a new session
  Duration session_timeout;
};
struct PingRequest {
  ConnectionId connection;
};
struct CloseRequest {
  int64_t session_id;
};
struct CallRequest {
  enum class Kind { kGet, kChildren, kChange, kSync };
  ConnectionId connection;
  uint64_t call_id;
  Kind kind;
  std::string path;                 // kGet, kChildren
  uint64_t watch_id = 0;            // kGet, kChildren; 0: no watch
  std::vector<CoordinationOp> ops;  // kChange: one, or those of a multi
};
using Request = std::variant<ConnectRequest, PingRequest, CloseRequest, CallRequest>;

struct ConnectedMessage {
  ConnectionId connection;
  int64_t session_id;
};
struct PongMessage {
  ConnectionId connection;
};
// The connection broke (reset); the session may live on.
struct ResetMessage {
  ConnectionId connection;
};
struct ExpiredMessage {
  int64_t session_id;
};
struct FiredMessage {
  int64_t session_id;
  uint64_t watch_id;
};
struct AnswerMessage {
  ConnectionId connection;
  uint64_t call_id;
  MultiResult result;
  NodeData node;                      // kGet; kChange of one kSet: the new stat
  std::vector<std::string> children;  // kChildren
};
using ServerMessage = std::variant<ConnectedMessage, PongMessage, ResetMessage, ExpiredMessage,
                                   FiredMessage, AnswerMessage>;

// The client as the server sees it; called on the client's executor.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual void Receive(ServerMessage message) = 0;
};

// How to reach a client.
struct PeerAddress {
  ClientId id;
  std::weak_ptr<Peer> peer;
  ExecutorPtr executor;
};

}  // namespace baton::embedded
