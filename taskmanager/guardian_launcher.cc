#include "taskmanager/guardian_launcher.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "rpc/attempt_id.h"
#include "taskmanager/earlier_incarnation.h"
#include "taskmanager/guardian/process_tree.h"

namespace baton {
namespace {

constexpr size_t kMaxLaunchBytes = 2 << 20;  // the kernel's limit for arguments and environment
// A guardian that has not ended its tasks so long after the lease hangs, and is killed: a leader
// counts on the end within lease + 1 s.
constexpr Duration kLeaseBackstop = std::chrono::milliseconds(400);
// Looked at twice: after a pause of this process the reports may be waiting to be read.
constexpr Duration kSecondLook = std::chrono::milliseconds(200);

pb::GuardianRequest ToRequest(const LaunchSpec& spec) {
  pb::GuardianRequest request;
  auto& launch = *request.mutable_launch();
  *launch.mutable_id() = ToProto(spec.id);
  for (const auto& word : spec.command) launch.add_command(word);
  for (const auto& [name, value] : spec.env) {
    auto& entry = *launch.add_env();
    entry.set_name(name);
    entry.set_value(value);
  }
  // Less than a millisecond is a timeout too; 0 would be none.
  if (spec.timeout > Duration::zero()) {
    launch.set_timeout_ms(std::max<uint64_t>(1, static_cast<uint64_t>(ToMillis(spec.timeout))));
  }
  return request;
}

}  // namespace

absl::StatusOr<std::shared_ptr<GuardianLauncher>> GuardianLauncher::Create(GuardianOptions options,
                                                                           ExecutorPtr executor,
                                                                           ExecutorPtr files) {
  auto lock = DirectoryLock::Take(options.work_directory, "taskmanager.work-directory");
  if (!lock.ok()) return lock.status();
  guardian::BecomeSubreaper();
  if (auto status = EndEarlierIncarnation(options.work_directory); !status.ok()) return status;
  auto first = StartGuardian(options);
  if (!first.ok()) return first.status();
  std::shared_ptr<GuardianLauncher> launcher(
      new GuardianLauncher(std::move(options), std::move(executor), std::move(files)));
  launcher->lock_ = *std::move(lock);
  launcher->Open(*std::move(first));
  return launcher;
}

GuardianLauncher::GuardianLauncher(GuardianOptions options, ExecutorPtr executor, ExecutorPtr files)
    : options_(std::move(options)),
      executor_(std::move(executor)),
      files_(std::move(files)),
      directories_(
          std::make_shared<AttemptDirectories>(options_.task_root(), options_.kept_attempts)) {}

GuardianLauncher::~GuardianLauncher() = default;

void GuardianLauncher::Open(GuardianProcess first) {
  address_ = {first.liveness_address, first.incarnation};
  GuardianChannel::Handlers handlers;
  auto on_strand = [executor = executor_, weak = weak_from_this()](auto member, auto... args) {
    executor->Post([weak, member, ... args = std::move(args)]() mutable {
      if (auto self = weak.lock()) ((*self).*member)(std::move(args)...);
    });
  };
  handlers.on_events = [executor = executor_,
                        weak = weak_from_this()](std::vector<pb::GuardianEvent> events) {
    executor->Post([weak, events = std::move(events)] {
      auto self = weak.lock();
      for (size_t i = 0; self && i < events.size(); ++i) self->OnEvent(events[i]);
    });
  };
  handlers.on_lost = [on_strand](std::string why) {
    on_strand(&GuardianLauncher::OnLost, std::move(why));
  };
  handlers.on_restart_failed = [on_strand](std::string why) {
    on_strand(&GuardianLauncher::OnRestartFailed, std::move(why));
  };
  handlers.on_restarted = [on_strand](GuardianGeneration generation, GuardianAddress address) {
    on_strand(&GuardianLauncher::OnRestarted, generation, std::move(address));
  };
  channel_ = std::make_unique<GuardianChannel>(options_, std::move(first), std::move(handlers));
}

void GuardianLauncher::Start(Listener listener) { listener_ = std::move(listener); }

void GuardianLauncher::Launch(LaunchSpec spec) {
  if (!attempts_.insert(spec.id).second) return;
  if (!guardian_works_) {
    return EndLater(spec.id, pb::FinalReport::REFUSED, "the guardian is being restarted");
  }
  const pb::GuardianRequest request = ToRequest(spec);
  if (request.ByteSizeLong() > kMaxLaunchBytes) {
    return EndLater(
        spec.id, pb::FinalReport::LAUNCH_FAILED,
        fmt::format("command and environment have more than {} bytes", kMaxLaunchBytes));
  }
  Send(request);
}

void GuardianLauncher::Stop(const ExecutionAttemptId& id, Duration grace) {
  if (!attempts_.contains(id)) return;
  pb::GuardianRequest request;
  *request.mutable_stop()->mutable_id() = ToProto(id);
  request.mutable_stop()->set_grace_ms(
      static_cast<uint64_t>(std::max<int64_t>(0, ToMillis(grace))));
  Send(request);
}

void GuardianLauncher::SetLeaseDeadline(TimePoint deadline) {
  if (deadline < lease_deadline_) {
    executor_->Cancel(lease_timer_);
    lease_timer_ = kNoTimer;
    lease_suspected_ = false;
  }
  lease_deadline_ = deadline;
  pb::GuardianRequest request;
  request.mutable_set_lease()->set_deadline_ns(lease_deadline_.time_since_epoch().count());
  Send(request);
  if (lease_timer_ == kNoTimer) WatchLease();
}

void GuardianLauncher::ReadLog(const ExecutionAttemptId& id, const std::string& stream,
                               uint64_t offset, uint32_t limit, LogCallback callback) {
  files_->Post([directories = directories_, id, stream, offset, limit,
                callback = BindTo(executor_, std::move(callback))]() mutable {
    callback(directories->ReadLog(id, stream, offset, limit));
  });
}

void GuardianLauncher::Send(const pb::GuardianRequest& request) {
  if (auto status = channel_->Send(generation_, request); !status.ok()) {
    log::Error("the guardian hangs, killing it: {}", Message(status));
    channel_->KillGuardian();
  }
}

void GuardianLauncher::OnEvent(const pb::GuardianEvent& event) {
  if (event.has_started()) {
    const auto id = FromProto(event.started().id());
    if (id.ok() && attempts_.contains(*id) && listener_.on_started) {
      listener_.on_started(*id, event.started().pid(), event.started().started_ms());
    }
  } else if (event.has_ended()) {
    if (const auto id = FromProto(event.ended().id()); id.ok()) {
      OnEnded(*id, event.ended().report());
    }
  }
}

void GuardianLauncher::OnEnded(const ExecutionAttemptId& id, pb::FinalReport report) {
  if (attempts_.erase(id) == 0) return;
  files_->Post([directories = directories_, id] { directories->AddEnded(id); });
  if (listener_.on_ended) listener_.on_ended(id, std::move(report));
}

void GuardianLauncher::OnLost(const std::string& why) {
  guardian_works_ = false;
  lost_because_ = why;
  pb::FinalReport report;
  report.set_outcome(pb::FinalReport::GUARDIAN_LOST);
  report.set_failure("the guardian died: " + why);
  report.set_started_ms(kNotYet);
  report.set_ended_ms(executor_->WallNow());
  report.set_block_io_wait_ms(-1);
  for (const auto& id : std::set<ExecutionAttemptId>(attempts_)) OnEnded(id, report);
}

void GuardianLauncher::OnRestartFailed(const std::string& why) {
  if (listener_.on_guardian_missing) listener_.on_guardian_missing(Unavailable("{}", why));
}

void GuardianLauncher::OnRestarted(GuardianGeneration generation, GuardianAddress address) {
  log::Info("a new guardian works incarnation={} liveness={}", address.incarnation.value(),
            address.liveness_address);
  generation_ = generation;
  address_ = std::move(address);
  guardian_works_ = true;
  // The lease of the TaskManager goes on.
  if (lease_deadline_ > executor_->Now()) SetLeaseDeadline(lease_deadline_);
  if (listener_.on_guardian_lost) listener_.on_guardian_lost(Unavailable("{}", lost_because_));
}

void GuardianLauncher::EndLater(const ExecutionAttemptId& id, pb::FinalReport::Outcome outcome,
                                std::string failure) {
  pb::FinalReport report;
  report.set_outcome(outcome);
  report.set_failure(std::move(failure));
  report.set_started_ms(kNotYet);
  report.set_ended_ms(executor_->WallNow());
  report.set_block_io_wait_ms(-1);
  executor_->Post([weak = weak_from_this(), id, report = std::move(report)]() mutable {
    if (auto self = weak.lock()) self->OnEnded(id, std::move(report));
  });
}

void GuardianLauncher::WatchLease() {
  const Duration left = lease_deadline_ + kLeaseBackstop - executor_->Now();
  if (left <= Duration::zero() && lease_suspected_) {
    lease_timer_ = kNoTimer;
    lease_suspected_ = false;
    if (attempts_.empty() || !guardian_works_) return;
    log::Error("the guardian let tasks outlive the lease, killing it tasks={}", attempts_.size());
    channel_->KillGuardian();
    return;
  }
  lease_suspected_ = left <= Duration::zero();
  lease_timer_ = executor_->PostAfter(
      lease_suspected_ ? kSecondLook : left,
      IfAlive(weak_from_this(), [](GuardianLauncher& self) { self.WatchLease(); }));
}

}  // namespace baton
