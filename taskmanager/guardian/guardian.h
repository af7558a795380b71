// The guardian: parent of every task of one TaskManager (docs/protocols.md, 6).
//
// It knows the lease's deadline and kills everything when it passes or when its TaskManager dies;
// whatever hangs over there, no task outlives its lease (3.6). It reports the end of an attempt
// only when no process of it is left (P4): the process group, the session, and whatever moved out
// of both, which comes back to this subreaper as an orphan and is told by its environment. A
// process that hides that too is nobody's, and is ended at the next look.
//
// One thread, one loop, nothing that blocks for long. Ends with the socket to its TaskManager.

#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/ids.h"
#include "taskmanager/guardian/guarded_task.h"
#include "taskmanager/guardian/guardian.pb.h"
#include "taskmanager/guardian/liveness_port.h"
#include "taskmanager/guardian/message_socket.h"
#include "taskmanager/guardian/poller.h"

namespace baton::guardian {

class Guardian {
 public:
  // `socket`: one end of a socketpair; the TaskManager holds the other.
  explicit Guardian(int socket);
  ~Guardian();

  // Serves until the TaskManager is gone, then ends every descendant. The exit code.
  int Run();

 private:
  absl::Status Open();
  TimePoint NextDeadline() const;

  void OnSocket();
  void OnRequest(std::string_view message);
  void Configure(const pb::GuardianConfigure& settings);
  void Launch(pb::GuardianLaunch launch);
  void Stop(const pb::GuardianStop& stop);
  void SetLease(const pb::GuardianSetLease& lease);

  void OnSignal();
  void Reap();
  void OnStarted(GuardedTask& task);
  // Kills all if the lease is over by `now`.
  void CheckLease(TimePoint now);

  // Ends what doomed tasks left behind and reports those of which nothing is left.
  void Sweep();
  bool SweepWanted() const;
  GuardedTask* OwnerOf(pid_t child) const;
  void Report(const pb::AttemptId& id, pb::FinalReport report);
  void Refuse(const pb::AttemptId& id, pb::FinalReport::Outcome outcome, std::string failure);

  void Send(const pb::GuardianEvent& event);
  void FlushSocket();
  void EndEverything();

  Poller poller_;
  MessageSocket socket_;
  Poller::WatchId socket_watch_ = 0;
  int signals_ = -1;
  LivenessPort liveness_;
  pb::GuardianConfigure settings_;
  bool configured_ = false;
  bool counts_block_io_ = false;
  bool ended_ = false;

  TimePoint lease_deadline_{};
  bool lease_running_ = false;
  TimePoint next_sweep_{};

  std::map<ExecutionAttemptId, std::unique_ptr<GuardedTask>> tasks_;
  // Views into tasks_. A session's number is not used again while a process is in it.
  std::map<pid_t, GuardedTask*> by_session_;
  std::map<std::string, GuardedTask*> by_token_;
};

}  // namespace baton::guardian
