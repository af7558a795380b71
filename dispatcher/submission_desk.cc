#include "dispatcher/submission_desk.h"

#include <utility>

#include "base/deliberate_break.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr size_t kMaxJoined = 1'000;
constexpr Duration kUnknownRetry = std::chrono::seconds(1);

absl::Status OtherJob(const JobId& id) {
  return AlreadyExists("another job was submitted under the id {}", id.ToString());
}

}  // namespace

void SubmissionDesk::Submit(SubmitRequest request, Callback callback) {
  const JobId id = request.job_id;
  if (const JobManagerRunner* runner = deps_.registry->Find(id)) {
    if (runner->submission_digest() != request.digest) return callback(OtherJob(id));
    return callback(SubmitReply{id, true});
  }
  if (auto it = pending_.find(id); it != pending_.end()) {
    if (it->second.request.digest != request.digest) return callback(OtherJob(id));
    if (it->second.callbacks.size() >= kMaxJoined) {
      return callback(ResourceExhausted("too many requests submit job {}", id.ToString()));
    }
    it->second.callbacks.push_back(std::move(callback));
    return;
  }
  if (absl::Status admitted = Admit(); !admitted.ok()) return callback(admitted);
  Pending& pending = pending_[id];
  pending.request = std::move(request);
  pending.callbacks.push_back(std::move(callback));
  // A new leader's first submissions are not kept waiting for one more answer of ZooKeeper's: a
  // pointer cannot be committed where a result stands, and then it is looked up.
  if (!deps_.results->history_loaded()) return Store(id);
  LookUp(id, [id](SubmissionDesk& self) { self.Store(id); });
}

// `go_on`: there is no result.
void SubmissionDesk::LookUp(const JobId& id, std::function<void(SubmissionDesk&)> go_on) {
  pending_.at(id).looked_up = true;
  deps_.results->Find(
      id, BindTo(deps_.executor, IfAlive(weak_from_this(), [id, go_on = std::move(go_on)](
                                                               SubmissionDesk& self, auto result) {
                   if (!result.ok()) return self.Fail(id, result.status());
                   if (!result->has_value() || Broken(Break::kEndedIdsRunAgain)) {
                     return go_on(self);
                   }
                   self.FinishAsEnded(id, **result);
                 })));
}

absl::Status SubmissionDesk::Admit() const {
  if (pending_.size() >= deps_.options.max_pending_submissions) {
    return ResourceExhausted("{} submissions are being stored already", pending_.size());
  }
  if (deps_.registry->size() + pending_.size() >= deps_.options.max_jobs) {
    return ResourceExhausted("{} jobs are running or waiting already", deps_.registry->size());
  }
  if (deps_.results->full()) {
    return ResourceExhausted("the history of finished jobs is full of results younger than {} min",
                             ToMillis(deps_.options.history.min_age) / 60'000);
  }
  return absl::OkStatus();
}

void SubmissionDesk::FinishAsEnded(const JobId& id, const pb::JobResult& result) {
  const bool same = result.submission_digest() == pending_.at(id).request.digest;
  Finish(id, same ? absl::StatusOr<SubmitReply>(SubmitReply{id, true}) : OtherJob(id));
}

void SubmissionDesk::Store(const JobId& id) {
  Pending& pending = pending_.at(id);
  if (Broken(Break::kAcknowledgesBeforeCommit)) {
    Answer(std::exchange(pending.callbacks, {}), SubmitReply{id, false});
  }
  const JobGraph& graph = *pending.request.graph;
  pb::JobPointer& pointer = pending.pointer;
  const auto& bytes = id.bytes();
  pointer.set_job_id(std::string(bytes.begin(), bytes.end()));
  pointer.set_submission_digest(pending.request.digest);
  pointer.set_name(graph.name);
  pointer.set_priority(graph.priority);
  if (pointer.submitted_at_ms() == 0) pointer.set_submitted_at_ms(deps_.executor->WallNow());
  pointer.set_submitted_at_replica(deps_.replica.value());
  pointer.set_submitted_in_epoch(deps_.epoch.value);
  deps_.graphs->Add(
      id, graph, pointer,
      BindTo(deps_.executor, IfAlive(weak_from_this(), [id](SubmissionDesk& self, auto stored) {
               self.OnStored(id, std::move(stored));
             })));
}

void SubmissionDesk::OnStored(const JobId& id, absl::StatusOr<pb::JobPointer> stored) {
  if (stored.ok()) return StartJob(id, *std::move(stored));
  Pending& pending = pending_.at(id);
  if (absl::IsAlreadyExists(stored.status())) return LookForCommitted(id);
  pending.unknown |= absl::IsUnknown(stored.status());
  if (pending.looked_up || absl::IsAborted(stored.status())) return Fail(id, stored.status());
  // That the store is full, or too few replicas are there, is no answer for a job that has ended.
  LookUp(id, [id, why = stored.status()](SubmissionDesk& self) { self.Fail(id, why); });
}

// No word about the job, unless an earlier commit may have been applied: then its outcome has to be
// known first.
void SubmissionDesk::Fail(const JobId& id, const absl::Status& why) {
  pending_.at(id).unknown ? StoreLater(id, why) : Finish(id, why);
}

// A result, or the pointer that an earlier try of ours has committed after all.
void SubmissionDesk::LookForCommitted(const JobId& id) {
  LookUp(id, [id](SubmissionDesk& self) {
    self.deps_.graphs->ReadPointer(
        id, BindTo(self.deps_.executor,
                   IfAlive(self.weak_from_this(), [id](SubmissionDesk& self, auto pointer) {
                     if (pointer.ok()) return self.StartCommitted(id, *std::move(pointer));
                     self.Fail(id, Unavailable("what stands under the id {} cannot be read: {}",
                                               id.ToString(), Message(pointer.status())));
                   })));
  });
}

void SubmissionDesk::StoreLater(const JobId& id, const absl::Status& why) {
  if (absl::IsAborted(why)) return Finish(id, why);
  Pending& pending = pending_.at(id);
  pending.unknown = true;
  Answer(std::exchange(pending.callbacks, {}), why);
  log::Warning("the outcome of a submission is unknown, it is tried again job_id={} error={}",
               id.ToString(), Message(why));
  deps_.executor->PostAfter(
      kUnknownRetry, IfAlive(weak_from_this(), [id](SubmissionDesk& self) { self.Store(id); }));
}

void SubmissionDesk::StartCommitted(const JobId& id, pb::JobPointer pointer) {
  if (pointer.submission_digest() == pending_.at(id).request.digest) {
    return StartJob(id, std::move(pointer));
  }
  // Not what is being submitted now: it runs as what it is.
  deps_.registry->Add(id, std::move(pointer)).Recover();
  Finish(id, OtherJob(id));
}

void SubmissionDesk::StartJob(const JobId& id, pb::JobPointer pointer) {
  log::Info("job submitted job_id={} epoch={} name={}", id.ToString(), deps_.epoch.value,
            pointer.name());
  JobGraphPtr graph = pending_.at(id).request.graph;
  deps_.registry->Add(id, std::move(pointer));
  Finish(id, SubmitReply{id, false});
  FaultPoint("submission.answered");
  deps_.executor->Post(IfAlive(weak_from_this(), [id, graph](SubmissionDesk& self) {
    if (auto* runner = self.deps_.registry->Find(id)) runner->StartNew(graph);
  }));
}

void SubmissionDesk::Finish(const JobId& id, absl::StatusOr<SubmitReply> answer) {
  auto pending = pending_.extract(id);
  Answer(std::move(pending.mapped().callbacks), std::move(answer));
}

void SubmissionDesk::Answer(std::vector<Callback> callbacks, absl::StatusOr<SubmitReply> answer) {
  for (Callback& callback : callbacks) {
    callback(answer);
    if (answer.ok()) answer->already_known = true;  // those who joined
  }
}

}  // namespace baton
