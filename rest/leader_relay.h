// Takes a question to the leader, whoever that is by now: asks the Dispatcher of this process,
// forwards to the replica that leads, or holds the question while nobody does (section 8).
//
// A question is held, and asked again of the next leader, when the leader that had it stopped
// leading, refused the connection or broke it; one whose repetition is not safe is held only when
// it certainly had no effect. An attempt that is under way at a leader of the past is given up as
// soon as another leads: a frozen process never answers, and what it may have committed before it
// lost the epoch, the new leader knows.
//
// Lives on its executor; Run, OnLeadershipChanged and Stop may be called from any thread. Owned by
// the RestEndpoint; ends with Stop, which answers everything that waits.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "ha/leader_election.h"
#include "rest/http.h"
#include "rest/leader_call.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

// On a request from one replica to another: who sends it. Guards against loops: one hop at most.
inline constexpr char kForwardedHeader[] = "X-Baton-Forwarded";
// On the 503 to such a request: its receiver does not lead and did nothing.
inline constexpr char kNotLeaderHeader[] = "X-Baton-Not-Leader";
// On it too: what it was asked may have had its effect.
inline constexpr char kOutcomeUnknownHeader[] = "X-Baton-Outcome-Unknown";
inline constexpr char kEpochHeader[] = "X-Baton-Epoch";

struct LeaderRelayLimits {
  Duration leader_wait = std::chrono::seconds(20);      // from arrival; then 503
  Duration attempt_timeout = std::chrono::seconds(30);  // one leader's time to answer
  Duration min_retry_delay = std::chrono::milliseconds(50);
  Duration max_retry_delay = std::chrono::seconds(1);
  // Of the questions under way and held together; beyond: 429.
  size_t max_requests = 10'000;
  size_t max_bytes = 256 << 20;
};

class LeaderRelay : public std::enable_shared_from_this<LeaderRelay> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    HttpTransportPtr transport;
    std::function<LeadershipView()> view;                 // any thread
    std::function<DispatcherGatewayPtr()> local_gateway;  // null unless this replica leads now
    ReplicaId self;
  };

  LeaderRelay(Dependencies dependencies, LeaderRelayLimits limits);

  void Run(LeaderCall call, HttpReply reply);
  void OnLeadershipChanged();
  void Stop();

  // For metrics; any thread.
  struct Counters {
    std::atomic<uint64_t> pending{0};
    std::atomic<uint64_t> forwarded{0};  // attempts
    std::atomic<uint64_t> retried{0};
    std::atomic<uint64_t> gave_up{0};  // answered 503 because no leader came in time
    std::atomic<uint64_t> refused{0};  // answered 429
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Pending {
    LeaderCall call;
    HttpReply reply;
    TimePoint hold_until;
    Duration retry_delay{};
    uint64_t attempt = 0;      // answers to earlier attempts are dropped
    std::string target;        // who is being asked; empty: held
    TimerId timer = kNoTimer;  // of the attempt, or of the next one
    absl::Status problem;      // of the last attempt
  };
  // Who can be asked now; all empty: nobody.
  struct Target {
    DispatcherGatewayPtr gateway;
    std::string address;
    std::string name;  // differs between two leaders and between two epochs of one
  };

  void Accept(LeaderCall call, HttpReply reply);
  Target CurrentTarget() const;
  void Attempt(uint64_t id);
  void AskLocal(uint64_t id, Pending& pending, const DispatcherGatewayPtr& gateway);
  void Forward(uint64_t id, Pending& pending, const std::string& address);
  void Hold(uint64_t id, absl::Status why);
  void OnTimer(uint64_t id, uint64_t attempt);
  void OnLocalAnswer(uint64_t id, uint64_t attempt, const DispatcherGatewayPtr& gateway,
                     absl::StatusOr<HttpResponse> answer);
  void OnForwardedAnswer(uint64_t id, uint64_t attempt, absl::StatusOr<HttpResponse> answer);
  void Finish(uint64_t id, HttpResponse response);
  void SetTimer(uint64_t id, Pending& pending, Duration delay);
  // Null when the attempt is over or was given up.
  Pending* FindAttempt(uint64_t id, uint64_t attempt);
  HttpResponse GaveUp(const Pending& pending);

  const Dependencies deps_;
  const LeaderRelayLimits limits_;
  Counters counters_;
  bool stopped_ = false;
  uint64_t last_id_ = 0;
  size_t bytes_ = 0;
  std::map<uint64_t, Pending> pending_;  // in the order of arrival
};

}  // namespace baton
