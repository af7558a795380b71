// What every CoordinationClient does alike: the table of pending calls, the watchers, the state of
// the session and who hears of it. An implementation carries the calls (Transmit) and tells what
// happened (Connected, Lost, Expired, Fired, Answered).
//
// Fail fast: a call made while not connected ends with kUnavailable at once; nothing is queued for
// a connection to come. A call that is not answered within the session timeout ends with kUnknown.
//
// Order when a session is over: the listener hears kExpired (whoever leads by it stops), then the
// pending calls end with kAborted, then the watchers fire, then a new session is begun.
//
// Threading: the methods of CoordinationClient may be called from any thread; everything protected
// or private runs on the executor. Ended by Close; whoever holds the last reference destroys it.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "ha/coordination_client.h"

namespace baton {

class SessionClient : public CoordinationClient,
                      public std::enable_shared_from_this<SessionClient> {
 public:
  void Start(std::function<void(SessionEvent)> listener) final;
  void Close() final;
  void Get(std::string path, Watcher watcher, Callback<NodeData> callback) final;
  void Children(std::string path, Watcher watcher,
                Callback<std::vector<std::string>> callback) final;
  void Create(std::string path, std::string data, NodeKind kind, StatusCallback callback) final;
  void Set(std::string path, std::string data, int32_t version, Callback<NodeStat> callback) final;
  void Delete(std::string path, int32_t version, StatusCallback callback) final;
  void Multi(std::vector<CoordinationOp> ops, MultiCallback callback) final;
  void Sync(std::string path, StatusCallback callback) final;

 protected:
  enum class CallKind { kGet, kChildren, kChange, kSync };
  struct Call {
    uint64_t id = 0;  // names its watch too
    CallKind kind;
    bool has_watcher = false;
    std::string path;                 // kGet, kChildren, kSync
    std::vector<CoordinationOp> ops;  // kChange: one, or those of a multi
  };
  struct Answer {
    MultiResult result;
    NodeData node;                      // kGet; kChange of one kSet: its stat
    std::vector<std::string> children;  // kChildren, sorted
  };

  SessionClient(ExecutorPtr executor, Duration session_timeout);

  // Begins a session. Called at the start and whenever one has expired.
  virtual void BeginSession() = 0;
  // Sends a call (only while connected); Answered follows. On an error nothing was sent.
  virtual absl::Status Transmit(Call call) = 0;
  // Comes kTicksPerTimeout times in a session timeout, from Start to Close.
  virtual void OnTick() {}
  // Ends the session and the connection; nothing is told after it.
  virtual void EndSession() = 0;

  static constexpr int kTicksPerTimeout = 6;

  void Connected(int64_t session_id);
  void Lost();
  void Expired();
  void Fired(uint64_t watch_id);
  void Answered(uint64_t call_id, Answer answer);

  SessionState state() const { return state_; }
  int64_t session_id() const { return session_id_; }
  bool closed() const { return closed_; }
  const ExecutorPtr& executor() const { return executor_; }
  Duration session_timeout() const { return session_timeout_; }

 private:
  using OnAnswer = absl::AnyInvocable<void(Answer)>;
  struct PendingCall {
    OnAnswer on_answer;
    TimePoint since;
  };
  using PendingCalls = std::map<uint64_t, PendingCall>;  // in the order of the calls

  void OnExecutor(absl::AnyInvocable<void(SessionClient&)> action);
  void Submit(Call call, Watcher watcher, OnAnswer on_answer);
  void Launch(Call call, Watcher watcher, OnAnswer on_answer);
  absl::Status Admit(const Call& call) const;
  PendingCalls TakePending();
  static void End(PendingCalls calls, const absl::Status& status);
  void Tick();
  void EndOverdue();
  void Enter(SessionState state);

  // Constant after construction.
  const ExecutorPtr executor_;
  const Duration session_timeout_;

  // On executor_ only.
  std::function<void(SessionEvent)> listener_;
  SessionState state_ = SessionState::kConnecting;
  int64_t session_id_ = 0;
  uint64_t last_call_ = 0;
  PendingCalls pending_;
  std::map<uint64_t, Watcher> watchers_;
  bool started_ = false;
  bool closed_ = false;
};

}  // namespace baton
