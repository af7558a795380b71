#include "taskmanager/task_executor.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/utf8.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

constexpr size_t kMaxFailureBytes = 2'000;

pb::Hello HelloOf(const TaskExecutorOptions& options, const Incarnation& incarnation) {
  pb::Hello hello;
  hello.set_cluster_id(options.cluster_id);
  hello.set_role(pb::Hello::TASK_MANAGER);
  hello.set_id(options.id.value());
  hello.set_incarnation(incarnation.value());
  return hello;
}

}  // namespace

std::shared_ptr<TaskExecutor> TaskExecutor::Create(Dependencies dependencies,
                                                   std::function<void()> on_registered) {
  std::shared_ptr<TaskExecutor> executor(
      new TaskExecutor(std::move(dependencies), std::move(on_registered)));
  executor->Wire();
  return executor;
}

TaskExecutor::TaskExecutor(Dependencies dependencies, std::function<void()> on_registered)
    : dependencies_(std::move(dependencies)),
      on_registered_(std::move(on_registered)),
      incarnation_(dependencies_.random->NewIncarnation()),
      tasks_(dependencies_.options.slots) {}

void TaskExecutor::Wire() {
  const auto& [executor, transport, launcher, random, options] = dependencies_;
  const LinkIdentity self(HelloOf(options, incarnation_), options.secrets, random);
  const auto weak = weak_from_this();
  links_ = std::make_shared<DispatcherLinks>(
      DispatcherLinks::Dependencies{transport, executor, random, self});
  lease_ = std::make_shared<LeaseKeeper>(
      MemberPoll::Dependencies{transport, executor, links_, self}, options.lease,
      LeaseKeeper::Listener{
          .on_deadline =
              [launcher = launcher](TimePoint deadline) { launcher->SetLeaseDeadline(deadline); },
          .on_lapsed =
              IfAlive(weak, [](TaskExecutor& self) { self.registration_->OnLeaseLapsed(); })});
  registration_ = std::make_shared<LeaderRegistration>(
      LeaderRegistration::Dependencies{executor, links_, options.heartbeat_interval}, lease_,
      LeaderRegistration::Hooks{
          .make_request =
              [weak] {
                const auto self = weak.lock();
                return self ? self->MakeRegistration() : pb::RegisterTaskManager();
              },
          .on_registered = IfAlive(weak, [](TaskExecutor& self) { self.OnRegistered(); }),
          .on_addresses = IfAlive(weak, [](TaskExecutor& self) { self.UpdateAddresses(); })});
}

void TaskExecutor::Start() {
  const auto weak = weak_from_this();
  dependencies_.launcher->Start(
      {.on_started = IfAlive(weak, [](TaskExecutor& self, const ExecutionAttemptId& id, int64_t pid,
                                      WallMillis at) { self.OnTaskStarted(id, pid, at); }),
       .on_ended =
           IfAlive(weak, [](TaskExecutor& self, const ExecutionAttemptId& id,
                            pb::FinalReport report) { self.OnTaskEnded(id, std::move(report)); }),
       .on_guardian_missing = IfAlive(
           weak, [](TaskExecutor& self, const absl::Status& why) { self.OnGuardianMissing(why); }),
       .on_guardian_lost = IfAlive(
           weak, [](TaskExecutor& self, const absl::Status& why) { self.OnGuardianLost(why); })});
  links_->Start(
      {.on_opened = IfAlive(
           weak, [](TaskExecutor& self, const RpcLinkPtr&) { self.registration_->OnLinkOpened(); }),
       .on_message =
           IfAlive(weak, [](TaskExecutor& self, const RpcLinkPtr& link,
                            const pb::Envelope& message) { self.OnMessage(link, message); }),
       .on_closed =
           IfAlive(weak, [](TaskExecutor& self, const RpcLinkPtr& link, const absl::Status&) {
             self.registration_->OnLinkClosed(link);
           })});
  UpdateAddresses();
  registration_->Start();
  ResendLoop();
}

void TaskExecutor::Stop(absl::AnyInvocable<void()> callback) {
  stopping_ = true;
  stopped_ = std::move(callback);
  log::Info("stopping tasks={}", tasks_.alive_count());
  if (tasks_.alive_count() == 0) return FinishStopping();
  // Without slots: what its tasks leave free is given to nobody, who would only be refused.
  registration_->RegisterAgain();
  for (const auto& id : tasks_.Alive()) {
    dependencies_.launcher->Stop(id, dependencies_.options.kill_grace);
  }
}

pb::RegisterTaskManager TaskExecutor::MakeRegistration() {
  const TaskExecutorOptions& options = dependencies_.options;
  pb::RegisterTaskManager request;
  auto& description = *request.mutable_description();
  description.set_id(options.id.value());
  description.set_incarnation(incarnation_.value());
  description.set_slots(takes_tasks() ? options.slots : 0);
  description.set_liveness_address(dependencies_.launcher->liveness_address());
  description.set_guardian_incarnation(dependencies_.launcher->guardian_incarnation().value());
  description.set_cpu_cores(options.cpu_cores);
  description.set_memory_bytes(options.memory_bytes);
  description.set_host(options.host);
  description.set_lease_ms(ToMillis(options.lease));
  if (const auto drain = drain_.Describe(dependencies_.executor->Now())) {
    *description.mutable_drain() = *drain;
  }
  for (auto& status : tasks_.TakeInventory(dependencies_.executor->Now())) {
    *request.add_inventory() = std::move(status);
  }
  return request;
}

void TaskExecutor::OnRegistered() {
  tasks_.ForgetRetired();
  ReportSoon();
  if (on_registered_) on_registered_();
}

void TaskExecutor::UpdateAddresses() {
  const auto& configured = dependencies_.options.dispatchers;
  std::set<std::string> addresses(configured.begin(), configured.end());
  for (const auto& member : registration_->members().members()) {
    addresses.insert(member.rpc_address());
  }
  // A replica that is not yet a member may be announced as the leader of a new cluster.
  const auto& leader = registration_->announced();
  const RpcLinkPtr found = links_->FindLeader(leader);
  const bool kept = found && std::any_of(addresses.begin(), addresses.end(), [&](const auto& kept) {
                      return links_->FindAt(kept) == found;
                    });
  if (!leader.rpc_address().empty() && !kept) addresses.insert(leader.rpc_address());
  links_->SetAddresses(addresses);
}

void TaskExecutor::OnMessage(const RpcLinkPtr& link, const pb::Envelope& message) {
  registration_->OnMessage(link);
  switch (message.message_case()) {
    case pb::Envelope::kLeaderAnnouncement:
      return registration_->OnAnnouncement(message.leader_announcement());
    case pb::Envelope::kDeployTasks:
      return OnDeployTasks(link, message);
    case pb::Envelope::kCancelTasks:
      return OnCancelTasks(link, message);
    case pb::Envelope::kConfirmReports:
      return OnConfirmReports(link, message.confirm_reports());
    case pb::Envelope::kDrainTaskManager:
      return OnDrain(link, message);
    case pb::Envelope::kReadTaskLog:
      return OnReadTaskLog(link, message);
    default:
      if (message.correlation_id() == 0) return;
      return link->ReplyError(message, absl::UnimplementedError("a TaskManager does not serve it"));
  }
}

void TaskExecutor::OnDeployTasks(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::DeployTasks& deploy = message.deploy_tasks();
  absl::Status allowed = registration_->Check(link, deploy.registration_id());
  if (allowed.ok() && stopping_) allowed = FailedPrecondition("the TaskManager is stopping");
  // Else the same tasks would come again and again, within milliseconds, and count as lost.
  if (allowed.ok() && !dependencies_.launcher->ready()) {
    allowed = FailedPrecondition("the guardian is being restarted");
  }
  // As a whole: that says nothing about any of the tasks.
  if (!allowed.ok()) return link->ReplyError(message, allowed);
  pb::Envelope reply;
  auto& answer = *reply.mutable_deploy_tasks_reply();
  for (const auto& task : deploy.tasks()) {
    const absl::Status status = Deploy(task);
    if (status.ok()) continue;
    auto& refusal = *answer.add_refused();
    *refusal.mutable_id() = task.id();
    refusal.set_reason(Message(status));
  }
  reply.set_epoch(registration_->epoch().value);
  link->Reply(message, std::move(reply));
}

absl::Status TaskExecutor::Deploy(const pb::TaskDeployment& task) {
  const auto id = FromProto(task.id());
  if (!id.ok()) return id.status();
  const auto admission = tasks_.Admit(*id);
  if (!admission.ok()) return admission.status();
  if (*admission == TaskTable::Admission::kKnown) {
    // Sent again by a leader that did not hear of it: it shall.
    tasks_.MarkForReport(*id);
    ReportSoon();
    return absl::OkStatus();
  }
  const TaskExecutorOptions& options = dependencies_.options;
  dependencies_.launcher->Launch(
      ToLaunchSpec(task, *id, options.environment, options.shared_directory));
  return absl::OkStatus();
}

void TaskExecutor::OnCancelTasks(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::CancelTasks& cancel = message.cancel_tasks();
  const absl::Status allowed = registration_->Check(link, cancel.registration_id());
  if (!allowed.ok()) return link->ReplyError(message, allowed);
  pb::Envelope reply;
  reply.set_epoch(registration_->epoch().value);
  auto& answer = *reply.mutable_cancel_tasks_reply();
  for (const auto& wire_id : cancel.ids()) {
    const auto id = FromProto(wire_id);
    if (!id.ok()) continue;
    switch (tasks_.Find(*id)) {
      case TaskTable::Presence::kUnknown:
        tasks_.Retire(*id);
        *answer.add_unknown() = wire_id;
        break;
      case TaskTable::Presence::kAlive:
        tasks_.MarkCancelRequested(*id);
        dependencies_.launcher->Stop(*id, dependencies_.options.kill_grace);
        break;
      case TaskTable::Presence::kEnded:
        tasks_.MarkForReport(*id);
        ReportSoon();
        break;
    }
  }
  link->Reply(message, std::move(reply));
}

void TaskExecutor::OnConfirmReports(const RpcLinkPtr& link, const pb::ConfirmReports& confirm) {
  if (link != registration_->link()) return;  // of an older leader; this one confirms too
  for (const auto& wire_id : confirm.ids()) {
    if (const auto id = FromProto(wire_id); id.ok()) tasks_.Confirm(*id);
  }
}

void TaskExecutor::OnDrain(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::DrainTaskManager& drain = message.drain_task_manager();
  const absl::Status allowed = registration_->Check(link, drain.registration_id());
  if (!allowed.ok()) return link->ReplyError(message, allowed);
  drain_.Set(drain, dependencies_.executor->Now());
  log::Info("{} tasks={}", drain.has_drain() ? "draining" : "taking tasks again",
            tasks_.alive_count());
  pb::Envelope reply;
  reply.set_epoch(registration_->epoch().value);
  reply.mutable_drain_task_manager_reply();
  link->Reply(message, std::move(reply));
}

void TaskExecutor::OnReadTaskLog(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::ReadTaskLog& read = message.read_task_log();
  const auto id = FromProto(read.id());
  if (!id.ok()) return link->ReplyError(message, id.status());
  // Looked at before the file: what was written until then is all there is.
  const bool alive = tasks_.MayWriteLogs(*id);
  dependencies_.launcher->ReadLog(
      *id, read.stream(), read.offset(), read.limit(),
      [link, message, alive, offset = read.offset()](absl::StatusOr<LogChunk> chunk) {
        if (!chunk.ok()) return link->ReplyError(message, chunk.status());
        pb::Envelope reply;
        auto& answer = *reply.mutable_read_task_log_reply();
        answer.set_ended(!alive && offset + chunk->content.size() >= chunk->size);
        answer.set_size(chunk->size);
        answer.set_content(std::move(chunk->content));
        link->Reply(message, std::move(reply));
      });
}

void TaskExecutor::OnTaskStarted(const ExecutionAttemptId& id, int64_t pid, WallMillis started) {
  log::Info("task started attempt={} pid={}", id.ToString(), pid);
  tasks_.OnStarted(id, pid, started);
  ReportSoon();
}

void TaskExecutor::OnTaskEnded(const ExecutionAttemptId& id, pb::FinalReport report) {
  // Whatever launched it: a leader that cannot read one report reads none of its message.
  report.set_failure(CleanUtf8(report.failure(), kMaxFailureBytes));
  if (stopping_ && report.outcome() == pb::FinalReport::CANCELED && !tasks_.IsCancelRequested(id)) {
    // Nobody cancelled it: to the leader this is the loss of a worker.
    report.set_outcome(pb::FinalReport::GUARDIAN_LOST);
    report.set_failure("its TaskManager was stopped");
  }
  log::Info("task ended attempt={} outcome={} exit_code={} signal={} {}", id.ToString(),
            pb::FinalReport::Outcome_Name(report.outcome()), report.exit_code(), report.signal(),
            report.failure());
  tasks_.OnEnded(id, std::move(report));
  ReportSoon();
  if (stopping_ && tasks_.alive_count() == 0) FinishStopping();
}

// A leader that counts its slots would give it the same tasks again every few seconds, for ever,
// and another TaskManager that is busy for a moment would never get them. Heartbeats carry nothing
// but the registration, so it registers anew: without slots.
void TaskExecutor::OnGuardianMissing(const absl::Status& why) {
  log::Warning("offering no slots until a guardian can be started: {}", Message(why));
  registration_->RegisterAgain();
}

void TaskExecutor::OnGuardianLost(const absl::Status& why) {
  log::Warning("registering the new guardian: {}", Message(why));
  registration_->RegisterAgain();
}

void TaskExecutor::ReportSoon() {
  if (report_posted_) return;
  report_posted_ = true;
  dependencies_.executor->Post(IfAlive(weak_from_this(), [](TaskExecutor& self) {
    self.report_posted_ = false;
    self.SendReports();
  }));
}

void TaskExecutor::SendReports() {
  const RpcLinkPtr link = registration_->link();
  // Without a leader reports wait; the next registration's inventory carries them.
  while (link && tasks_.has_due_reports()) {
    pb::Envelope message;
    message.set_epoch(registration_->epoch().value);
    auto& reports = *message.mutable_task_reports();
    reports.set_registration_id(registration_->registration_id());
    for (auto& status : tasks_.TakeReports(dependencies_.executor->Now(), kMaxReportsPerMessage)) {
      *reports.add_reports() = std::move(status);
    }
    link->Send(std::move(message));
  }
}

void TaskExecutor::ResendLoop() {
  tasks_.ResendUnconfirmed(dependencies_.executor->Now());
  if (tasks_.has_due_reports()) SendReports();
  dependencies_.executor->PostAfter(
      TaskTable::kResendInterval,
      IfAlive(weak_from_this(), [](TaskExecutor& self) { self.ResendLoop(); }));
}

void TaskExecutor::FinishStopping() {
  if (!stopped_) return;
  SendReports();
  // Without a leader nobody will confirm them.
  const bool heard = registration_->link() || registration_->registering();
  const Duration wait = heard ? kLastReports : Duration::zero();
  dependencies_.executor->PostAfter(
      wait, IfAlive(weak_from_this(),
                    [stopped = std::exchange(stopped_, nullptr)](TaskExecutor& self) mutable {
                      self.links_->Stop();
                      stopped();
                    }));
}

}  // namespace baton
