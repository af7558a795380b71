#include "dispatcher/dispatcher.h"

#include <utility>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"

namespace baton {
namespace {

constexpr Duration kRetry = std::chrono::milliseconds(200);
constexpr size_t kMaxWaiting = 10'000;
constexpr size_t kLoadsAtOnce = 500;

}  // namespace

Dispatcher::Dispatcher(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      registry_(std::make_shared<JobRegistry>(JobManagerRunner::Dependencies{
          deps_.executor, deps_.resource_manager, deps_.epoch,
          deps_.options.default_restart_strategy, deps_.graphs, deps_.results, nullptr})),
      desk_(std::make_shared<SubmissionDesk>(
          SubmissionDesk::Dependencies{deps_.executor, deps_.replica, deps_.epoch, registry_,
                                       deps_.graphs, deps_.results, deps_.options})) {}

void Dispatcher::Start() {
  ListPointers();
  Prepare();
}

void Dispatcher::LoadHistory() {
  deps_.results->LoadHistory(
      BindTo(deps_.executor, IfAlive(weak_from_this(), [](Dispatcher& self, absl::Status status) {
               if (!status.ok())
                 self.RetryLater(&Dispatcher::LoadHistory, "load the history", status);
             })));
}

void Dispatcher::Prepare() {
  deps_.graphs->Prepare(
      BindTo(deps_.executor, IfAlive(weak_from_this(), [](Dispatcher& self, absl::Status status) {
               if (!status.ok())
                 return self.RetryLater(&Dispatcher::Prepare, "prepare the tree", status);
               self.prepared_ = true;
               self.CheckListed();
             })));
}

void Dispatcher::ListPointers() {
  deps_.graphs->List(
      BindTo(deps_.executor, IfAlive(weak_from_this(), [](Dispatcher& self, auto pointers) {
               if (pointers.ok()) return self.OnPointers(*std::move(pointers));
               self.RetryLater(&Dispatcher::ListPointers, "list the jobs", pointers.status());
             })));
}

void Dispatcher::RetryLater(void (Dispatcher::*step)(), std::string_view what,
                            const absl::Status& why) {
  if (absl::IsAborted(why)) return;  // the next leader does it
  log::Warning("cannot {} yet epoch={} error={}", what, deps_.epoch.value, Message(why));
  deps_.executor->PostAfter(
      kRetry, IfAlive(weak_from_this(), [step](Dispatcher& self) { (self.*step)(); }));
}

void Dispatcher::OnPointers(std::vector<RecoveredPointer> pointers) {
  log::Info("jobs to recover epoch={} jobs={}", deps_.epoch.value, pointers.size());
  FaultPoint("recovery.jobs-listed");
  std::vector<JobId> readable;
  for (RecoveredPointer& recovered : pointers) {
    if (recovered.pointer.ok()) {
      readable.push_back(recovered.id);
      registry_->Add(recovered.id, *std::move(recovered.pointer));
    } else {
      registry_->Add(recovered.id, pb::JobPointer()).Quarantine(recovered.pointer.status());
    }
  }
  RecoverJobs(std::move(readable));
  pointers_read_ = true;
  deps_.resource_manager->OnJobsListed();
  CheckListed();
  LoadHistory();
}

// So many that the disk is busy, and not more than its queue holds.
void Dispatcher::RecoverJobs(std::vector<JobId> jobs) {
  const size_t count = jobs.size();
  RunBounded(
      count, kLoadsAtOnce,
      [weak = weak_from_this(), jobs = std::move(jobs)](size_t i, StepDone done) {
        auto self = weak.lock();
        if (!self) return done(Aborted("the epoch is over"));
        JobManagerRunner* runner = self->registry_->Find(jobs[i]);
        if (runner == nullptr) return done(absl::OkStatus());
        runner->Recover([done = std::move(done)]() mutable { done(absl::OkStatus()); });
      },
      [](const absl::Status&) {});
}

void Dispatcher::CheckListed() {
  if (!prepared_ || !pointers_read_) return;
  for (Task& task : std::exchange(waiting_, {})) task();
}

bool Dispatcher::JobIsLive(const JobId& id) const {
  return !pointers_read_ || registry_->Find(id) != nullptr || desk_->IsPending(id);
}

void Dispatcher::WhenListed(Task request) {
  if (prepared_ && pointers_read_) return request();
  if (waiting_.size() < kMaxWaiting) waiting_.push_back(std::move(request));
}

void Dispatcher::SubmitJob(SubmitRequest request, Callback<SubmitReply> callback) {
  desk_->Submit(std::move(request), std::move(callback));
}

void Dispatcher::CancelJob(JobId job, StatusCallback callback) {
  if (JobManagerRunner* runner = registry_->Find(job)) return runner->Cancel(std::move(callback));
  deps_.results->Find(job, [job, callback = std::move(callback)](auto result) mutable {
    if (!result.ok()) return callback(result.status());
    if (!result->has_value()) return callback(NotFound("Job {} not found", job.ToString()));
    const std::string& outcome = (*result)->outcome();
    if (outcome == ToString(JobStatus::kCanceled)) return callback(absl::OkStatus());
    callback(FailedPrecondition("job {} has ended already as {}", job.ToString(), outcome));
  });
}

}  // namespace baton
