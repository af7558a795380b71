// A session with the coordination service: ZooKeeper's data model and guarantees, whoever provides
// them (ZooKeeperClient, EmbeddedCoordination). One contract test suite runs on both.
//
// Guarantees that callers rely on: a session's operations take effect in the order of their calls;
// a multi takes effect as one or not at all; an ephemeral node goes with its session; a watch fires
// once, before its session sees the change.
//
// Errors:
//   kNotFound            no such node (or no parent)
//   kAlreadyExists       create: there is one
//   kFailedPrecondition  the version differs, or the node has children
//   kUnavailable         not connected and nothing was sent: it had no effect
//   kUnknown             the connection broke after it was sent: it may have had its effect, or may
//                        have it still. Read back (Sync first).
//   kAborted             the session is over (expired or closed)
//   kResourceExhausted   the service's disk is full (the embedded one; a failing disk: kInternal,
//                        kDataLoss): it had no effect
//
// Threading: any thread may call; callbacks, watchers and session events come on the executor given
// to the implementation, in the order of their effects. Every call is answered in bounded time (a
// session timeout).

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace baton {

inline constexpr int32_t kAnyVersion = -1;

struct NodeStat {
  int32_t version = 0;
  int64_t ephemeral_owner = 0;  // the session id; 0: persistent
  int64_t created_zxid = 0;
};

struct NodeData {
  std::string data;
  NodeStat stat;
};

enum class NodeKind { kPersistent, kEphemeral };

struct CoordinationOp {
  enum class Type { kCheck, kCreate, kSet, kDelete };
  Type type;
  std::string path;
  std::string data;
  int32_t version = kAnyVersion;
  NodeKind kind = NodeKind::kPersistent;

  static CoordinationOp Check(std::string path, int32_t version) {
    return {Type::kCheck, std::move(path), {}, version, NodeKind::kPersistent};
  }
  static CoordinationOp Create(std::string path, std::string data,
                               NodeKind kind = NodeKind::kPersistent) {
    return {Type::kCreate, std::move(path), std::move(data), kAnyVersion, kind};
  }
  static CoordinationOp Set(std::string path, std::string data, int32_t version) {
    return {Type::kSet, std::move(path), std::move(data), version, NodeKind::kPersistent};
  }
  static CoordinationOp Delete(std::string path, int32_t version) {
    return {Type::kDelete, std::move(path), {}, version, NodeKind::kPersistent};
  }
};

// On failure `failed_op` names the first op that did not hold, if the service said which.
struct MultiResult {
  absl::Status status;
  std::optional<size_t> failed_op;
};

enum class SessionState {
  kConnecting,  // new, or its connection is lost: it may be alive still
  kConnected,
  kExpired,  // over for good; the client goes on with a new session by itself
};

struct SessionEvent {
  SessionState state;
  int64_t session_id = 0;
};

class CoordinationClient {
 public:
  template <class T>
  using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;
  using MultiCallback = absl::AnyInvocable<void(MultiResult)>;
  // Fires once when the node watched changes, appears or goes, or when the session is over: read
  // again. A lost connection alone fires nothing.
  using Watcher = absl::AnyInvocable<void()>;

  virtual ~CoordinationClient() = default;

  // The listener hears the present state first, then each change. One listener; set it before use.
  virtual void Start(std::function<void(SessionEvent)> listener) = 0;
  // Ends the session (its ephemerals go at once); pending calls end with kAborted. Idempotent.
  virtual void Close() = 0;

  // A null watcher watches nothing. On kNotFound the watcher is set too and fires when the node
  // appears; on any other error it is dropped.
  virtual void Get(std::string path, Watcher watcher, Callback<NodeData> callback) = 0;
  // Names, not paths; sorted. The watcher fires when a child comes or goes, not when one changes.
  virtual void Children(std::string path, Watcher watcher,
                        Callback<std::vector<std::string>> callback) = 0;

  virtual void Create(std::string path, std::string data, NodeKind kind,
                      StatusCallback callback) = 0;
  virtual void Set(std::string path, std::string data, int32_t version,
                   Callback<NodeStat> callback) = 0;
  virtual void Delete(std::string path, int32_t version, StatusCallback callback) = 0;
  virtual void Multi(std::vector<CoordinationOp> ops, MultiCallback callback) = 0;

  // What was committed before this call by anyone is seen by reads after its callback.
  virtual void Sync(std::string path, StatusCallback callback) = 0;
};
using CoordinationClientPtr = std::shared_ptr<CoordinationClient>;

}  // namespace baton
