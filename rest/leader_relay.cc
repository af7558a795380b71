#include "rest/leader_relay.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "rest/responses.h"

namespace baton {
namespace {

HttpResponse NotLeader(const ReplicaId& self) {
  HttpResponse response =
      ErrorResponse(503, fmt::format("Replica {} does not lead.", self.value()));
  response.SetHeader(kNotLeaderHeader, self.value());
  return response;
}

// The outcome may have been an effect: nothing to repeat blindly.
bool OutcomeUnknown(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnknown ||
         status.code() == absl::StatusCode::kDeadlineExceeded;
}

}  // namespace

LeaderRelay::LeaderRelay(Dependencies dependencies, LeaderRelayLimits limits)
    : deps_(std::move(dependencies)), limits_(limits) {}

void LeaderRelay::Run(LeaderCall call, HttpReply reply) {
  deps_.executor->Post(
      [self = shared_from_this(), call = std::move(call), reply = std::move(reply)]() mutable {
        self->Accept(std::move(call), std::move(reply));
      });
}

void LeaderRelay::Accept(LeaderCall call, HttpReply reply) {
  if (stopped_) return reply(ErrorResponse(503, "This replica is shutting down."));
  const size_t bytes = call.Bytes();
  if (pending_.size() >= limits_.max_requests || bytes > limits_.max_bytes - bytes_) {
    ++counters_.refused;
    return reply(ErrorResponse(
        429, fmt::format("Too many requests wait for the leader ({} requests, {} bytes; the limits "
                         "are {} and {}). Try again.",
                         pending_.size(), bytes_, limits_.max_requests, limits_.max_bytes)));
  }
  bytes_ += bytes;
  const uint64_t id = ++last_id_;
  Pending& pending = pending_[id];
  pending.call = std::move(call);
  pending.reply = std::move(reply);
  pending.hold_until = deps_.executor->Now() + limits_.leader_wait;
  pending.retry_delay = limits_.min_retry_delay;
  counters_.pending = pending_.size();
  Attempt(id);
}

LeaderRelay::Target LeaderRelay::CurrentTarget() const {
  if (DispatcherGatewayPtr gateway = deps_.local_gateway()) {
    std::string name = fmt::format("here e{}", gateway->epoch().value);
    return Target{std::move(gateway), "", std::move(name)};
  }
  const LeadershipView view = deps_.view();
  // That `leader` names this replica, which has no Dispatcher now: it is about to, or just had one.
  if (!view.leader || view.leader->replica_id() == deps_.self.value()) return Target{};
  return Target{nullptr, view.leader->rest_address(),
                fmt::format("{} {} e{}", view.leader->replica_id(), view.leader->incarnation(),
                            view.leader->epoch())};
}

void LeaderRelay::Attempt(uint64_t id) {
  Pending& pending = pending_.at(id);
  deps_.executor->Cancel(pending.timer);
  pending.timer = kNoTimer;
  if (pending.attempt++ > 0) ++counters_.retried;
  Target target = CurrentTarget();
  pending.target = target.name;
  if (target.gateway) return AskLocal(id, pending, target.gateway);
  if (target.name.empty() || pending.call.origin == LeaderCall::Origin::kReplica) {
    return Hold(id, Unavailable("{}", kNoLeaderSentence));
  }
  Forward(id, pending, target.address);
}

void LeaderRelay::AskLocal(uint64_t id, Pending& pending, const DispatcherGatewayPtr& gateway) {
  SetTimer(id, pending, limits_.attempt_timeout);
  pending.call.ask(
      gateway,
      BindTo(deps_.executor,
             IfAlive(weak_from_this(), [id, attempt = pending.attempt, gateway](
                                           LeaderRelay& self, absl::StatusOr<HttpResponse> answer) {
               self.OnLocalAnswer(id, attempt, gateway, std::move(answer));
             })));
}

void LeaderRelay::Forward(uint64_t id, Pending& pending, const std::string& address) {
  ++counters_.forwarded;
  HttpRequest request = pending.call.forward;
  request.SetHeader(kForwardedHeader, deps_.self.value());
  // A little later than the transport's own deadline, which knows more of what happened.
  SetTimer(id, pending, limits_.attempt_timeout + std::chrono::seconds(1));
  deps_.transport->Send(
      address, std::move(request), limits_.attempt_timeout, deps_.executor,
      IfAlive(weak_from_this(), [id, attempt = pending.attempt](
                                    LeaderRelay& self, absl::StatusOr<HttpResponse> answer) {
        self.OnForwardedAnswer(id, attempt, std::move(answer));
      }));
}

void LeaderRelay::Hold(uint64_t id, absl::Status why) {
  Pending& pending = pending_.at(id);
  deps_.executor->Cancel(pending.timer);
  pending.timer = kNoTimer;
  pending.target.clear();
  // What may have had its effect is not undone by a later attempt that certainly had none.
  if (OutcomeUnknown(why) || !OutcomeUnknown(pending.problem)) pending.problem = std::move(why);
  if (OutcomeUnknown(pending.problem) && pending.call.repeat == LeaderCall::Repeat::kUnsafe) {
    return Finish(id, ErrorResponse(pending.problem));
  }
  if (pending.call.origin == LeaderCall::Origin::kReplica) {
    HttpResponse response = NotLeader(deps_.self);
    if (OutcomeUnknown(pending.problem)) response.SetHeader(kOutcomeUnknownHeader, "true");
    return Finish(id, std::move(response));
  }
  const Duration left = pending.hold_until - deps_.executor->Now();
  if (left <= Duration::zero()) return Finish(id, GaveUp(pending));
  // A change of leadership wakes it at once; the timer is for what no view shows, such as a leader
  // that is elected but not yet serving.
  SetTimer(id, pending, std::min(left, pending.retry_delay));
  pending.retry_delay = std::min(pending.retry_delay * 2, limits_.max_retry_delay);
}

void LeaderRelay::SetTimer(uint64_t id, Pending& pending, Duration delay) {
  deps_.executor->Cancel(pending.timer);
  pending.timer = deps_.executor->PostAfter(
      delay, IfAlive(weak_from_this(), [id, attempt = pending.attempt](LeaderRelay& self) {
        self.OnTimer(id, attempt);
      }));
}

void LeaderRelay::OnTimer(uint64_t id, uint64_t attempt) {
  Pending* pending = FindAttempt(id, attempt);
  if (!pending) return;
  pending->timer = kNoTimer;
  if (!pending->target.empty()) {
    ++pending->attempt;  // its answer is no longer awaited
    return Hold(id, DeadlineExceeded("The leader did not answer in time; the outcome is unknown."));
  }
  if (deps_.executor->Now() >= pending->hold_until) return Finish(id, GaveUp(*pending));
  Attempt(id);
}

void LeaderRelay::OnLocalAnswer(uint64_t id, uint64_t attempt, const DispatcherGatewayPtr& gateway,
                                absl::StatusOr<HttpResponse> answer) {
  if (!FindAttempt(id, attempt)) return;
  if (answer.ok()) {
    answer->SetHeader(kEpochHeader, std::to_string(gateway->epoch().value));
    return Finish(id, *std::move(answer));
  }
  const absl::Status& error = answer.status();
  if (error.code() == absl::StatusCode::kAborted || OutcomeUnknown(error)) {
    return Hold(id, error);
  }
  // Unavailable while it goes on leading is its answer (too few copies, say); else it is the next
  // leader's question.
  if (error.code() == absl::StatusCode::kUnavailable && deps_.local_gateway() != gateway) {
    return Hold(id, error);
  }
  Finish(id, ErrorResponse(error));
}

void LeaderRelay::OnForwardedAnswer(uint64_t id, uint64_t attempt,
                                    absl::StatusOr<HttpResponse> answer) {
  Pending* pending = FindAttempt(id, attempt);
  if (!pending) return;
  if (!answer.ok()) {
    log::Info("forwarding failed target={} cause={}", pending->target, Describe(answer.status()));
    return Hold(id, answer.status());
  }
  if (!answer->Header(kOutcomeUnknownHeader).empty()) {
    return Hold(id, Unknown("{} lost the leadership before it had answered", pending->target));
  }
  if (!answer->Header(kNotLeaderHeader).empty()) {
    return Hold(id, Unavailable("{}", kNoLeaderSentence));
  }
  Finish(id, *std::move(answer));
}

void LeaderRelay::OnLeadershipChanged() {
  deps_.executor->Post([self = shared_from_this()] {
    const std::string now = self->CurrentTarget().name;
    std::vector<uint64_t> to_ask;
    for (auto& [id, pending] : self->pending_) {
      const bool held = pending.target.empty();
      const bool asks_the_past = !held && !now.empty() && pending.target != now &&
                                 pending.call.repeat == LeaderCall::Repeat::kSafe;
      if (held || asks_the_past) {
        pending.retry_delay = self->limits_.min_retry_delay;
        to_ask.push_back(id);
      }
    }
    for (const uint64_t id : to_ask) self->Attempt(id);
  });
}

void LeaderRelay::Stop() {
  deps_.executor->Post([self = shared_from_this()] {
    self->stopped_ = true;
    while (!self->pending_.empty()) {
      self->Finish(self->pending_.begin()->first,
                   ErrorResponse(503, "This replica is shutting down."));
    }
  });
}

LeaderRelay::Pending* LeaderRelay::FindAttempt(uint64_t id, uint64_t attempt) {
  auto it = pending_.find(id);
  return it != pending_.end() && it->second.attempt == attempt ? &it->second : nullptr;
}

HttpResponse LeaderRelay::GaveUp(const Pending& pending) {
  ++counters_.gave_up;
  if (OutcomeUnknown(pending.problem)) {
    return ErrorResponse(
        503, "The outcome is unknown, the leader's answer was lost: " + Message(pending.problem));
  }
  return ErrorResponse(503, kNoLeaderSentence);
}

void LeaderRelay::Finish(uint64_t id, HttpResponse response) {
  auto node = pending_.extract(id);
  Pending& pending = node.mapped();
  deps_.executor->Cancel(pending.timer);
  bytes_ -= pending.call.Bytes();
  counters_.pending = pending_.size();
  for (auto& [name, value] : pending.call.answer_headers) {
    response.SetHeader(name, std::move(value));
  }
  pending.reply(std::move(response));
}

}  // namespace baton
