// The ResourceManager as a JobMaster sees it: gives slots when the test says so and writes down
// what it was asked for.

#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "dispatcher/resource_manager/task_source.h"
#include "rpc/attempt_id.h"

namespace baton {

class FakeResourceManager final : public ResourceManagerGateway {
 public:
  void AddSource(TaskSource* added, WaitingOrder, Origin) override {
    source = added;
    jobs.insert(added->job_id());
    for (const ReportedAttempt& attempt : early) source->OnAttemptStatus(attempt);
  }
  void RemoveSource(const JobId& job) override {
    source = nullptr;
    jobs.erase(job);
  }
  void OnDemandChanged(const JobId&) override {}
  void CancelAttempt(const ExecutionAttemptId& id) override { cancelled.insert(id); }
  void ConfirmReport(const ExecutionAttemptId& id) override { confirmed.insert(id); }
  bool roster_settled() const override { return settled; }

  // Runs everything that is ready; the attempts in order.
  std::vector<ExecutionAttemptId> DeployAll(const std::string& tm = "tm") {
    std::vector<ExecutionAttemptId> deployed;
    while (source != nullptr && source->ready_count() > 0) {
      deployed.push_back(*FromProto(source->TakeNext({TaskManagerId(tm), "host"}).id()));
      last_tm = tm;
    }
    return deployed;
  }

  static ReportedAttempt Running(const ExecutionAttemptId& id, const std::string& tm = "tm") {
    ReportedAttempt attempt{TaskManagerId(tm), id, {}, "host of " + tm};
    *attempt.status.mutable_id() = ToProto(id);
    attempt.status.set_phase(pb::AttemptStatus::RUNNING);
    return attempt;
  }
  static ReportedAttempt Ended(const ExecutionAttemptId& id, pb::FinalReport::Outcome outcome,
                               int exit_code = 0) {
    ReportedAttempt attempt = Running(id);
    attempt.status.set_phase(pb::AttemptStatus::ENDED);
    attempt.status.mutable_report()->set_outcome(outcome);
    attempt.status.mutable_report()->set_exit_code(exit_code);
    return attempt;
  }
  void Succeed(const ExecutionAttemptId& id) {
    source->OnAttemptStatus(Ended(id, pb::FinalReport::EXITED, 0));
  }
  void Fail(const ExecutionAttemptId& id) {
    source->OnAttemptStatus(Ended(id, pb::FinalReport::EXITED, 1));
  }

  TaskSource* source = nullptr;  // the last one added
  std::set<JobId> jobs;          // of all sources
  std::vector<ReportedAttempt> early;
  std::set<ExecutionAttemptId> cancelled;
  std::set<ExecutionAttemptId> confirmed;
  bool settled = true;
  std::string last_tm;
};

}  // namespace baton
