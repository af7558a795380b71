#include "cli/drill/drill.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/random.h"
#include "base/status.h"
#include "cli/drill/drill_jobs.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kStartDeadline(60);
// A small job ends at once, but its worker may be busy, and its end may still be on its way.
constexpr std::chrono::seconds kLongestSmallRun(5);

}  // namespace

Drill::Drill(DrillOptions options, std::unique_ptr<DrillTarget> target, Progress progress)
    : options_(options),
      target_(std::move(target)),
      progress_(std::move(progress)),
      run_("drill-" + NewSystemRandom()->NewIncarnation().value()),
      small_starts_(target_->shared_directory() + "/" + run_ + "/small"),
      long_starts_(target_->shared_directory() + "/" + run_ + "/long") {}

absl::Status Drill::Run(DrillReport* report) {
  report->fault = KindOf(options_.fault).name;
  report->session_timeout_ms = target_->session_timeout_ms();
  if (auto status = Prepare(); !status.ok()) return status;
  absl::Status status = StartLongTasks();
  if (status.ok()) status = load_->Start();
  if (status.ok()) status = RunRounds(report);
  load_->Stop();
  Judge(report);
  report->complete = status.ok();
  const absl::Status cancelled = CancelLongJob();
  return status.ok() ? cancelled : status;
}

absl::Status Drill::Prepare() {
  auto client = RestClient::Open(target_->server());
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  if (auto status = target_->CheckFault(options_.fault); !status.ok()) return status;
  if (auto status = target_->WaitWhole(); !status.ok()) return status;
  if (auto status = CheckSlots(); !status.ok()) return status;
  std::error_code error;
  const std::string directory = target_->shared_directory() + "/" + run_;
  std::filesystem::create_directories(directory, error);
  if (error) return FailedPrecondition("{}: {}", directory, error.message());
  LoadGenerator::Options load;
  load.server = target_->server();
  load.jobs_per_second = std::max(20.0, options_.jobs_per_second);
  load.job_json = SmallJobJson(run_);
  load_ = std::make_unique<LoadGenerator>(load, &log_);
  return absl::OkStatus();
}

absl::Status Drill::CheckSlots() {
  auto overview = client_->Overview();
  if (!overview.ok()) return overview.status();
  constexpr int kForSmallJobs = 4;
  const int64_t needed = options_.long_tasks + kForSmallJobs;
  if (overview->value.slots_available >= needed) return absl::OkStatus();
  return FailedPrecondition(
      "the drill needs {} free slots ({} for long tasks, {} for small jobs), but {} of {} are "
      "free: start the cluster with more (baton cluster up --slots {})",
      needed, options_.long_tasks, kForSmallJobs, overview->value.slots_available,
      overview->value.slots_total, needed);
}

absl::Status Drill::StartLongTasks() {
  auto job = client_->Submit(LongJobJson(run_, options_.long_tasks));
  if (!job.ok()) return job.status();
  long_job_ = job->value.id;
  const bool started = WaitUntil(
      [this] {
        long_starts_.Refresh();
        return std::cmp_greater_equal(long_starts_.DistinctIds(), options_.long_tasks);
      },
      Clock::now() + kStartDeadline);
  if (started) return absl::OkStatus();
  return DeadlineExceeded("only {} of {} long tasks wrote their start to {}",
                          long_starts_.DistinctIds(), options_.long_tasks,
                          target_->shared_directory());
}

size_t Drill::WaitForStarts(std::chrono::seconds deadline) {
  std::vector<std::string> missing = log_.AcknowledgedIds();
  WaitUntil(
      [&] {
        small_starts_.Refresh();
        missing = small_starts_.Missing(missing);
        return missing.empty();
      },
      Clock::now() + deadline, std::chrono::milliseconds(50));
  return missing.size();
}

// Returns when its slots are free again, for the next drill.
absl::Status Drill::CancelLongJob() {
  if (long_job_.empty()) return absl::OkStatus();
  if (auto status = client_->Cancel(long_job_); !status.ok()) return status;
  const bool ended = WaitUntil(
      [this] {
        auto job = client_->GetJob(long_job_);
        return job.ok() && job->value.Ended();
      },
      Clock::now() + kStartDeadline, std::chrono::milliseconds(100));
  if (ended) return absl::OkStatus();
  return DeadlineExceeded("the long job {} does not end after its cancellation", long_job_);
}

void Drill::Judge(DrillReport* report) {
  report->lost = WaitForStarts(kStartDeadline);
  // A second run would come a moment after the first.
  RestUntil(Clock::now() + options_.settle);
  small_starts_.Refresh();
  long_starts_.Refresh();
  report->submitted = log_.submitted();
  report->acknowledged = log_.acknowledged();
  report->requests_per_replica = log_.AcknowledgedByReplica();
  const Repetitions small = JudgeRepetitions(small_starts_, losses_, kLongestSmallRun);
  report->duplicated = small.unexpected;
  report->expected_duplicates = small.expected;
  const Repetitions lasting = JudgeRepetitions(long_starts_, losses_);
  report->restarted = std::max<uint64_t>(lasting.unexpected, LongTasksNotRunning());
  report->expected_restarts = lasting.expected;
}

// A task that was ended and not started again has only one line, too.
uint64_t Drill::LongTasksNotRunning() {
  auto job = client_->GetJob(long_job_);
  const int64_t running =
      job.ok() && !job->value.vertices.empty() ? job->value.vertices[0].tasks["RUNNING"] : 0;
  return static_cast<uint64_t>(std::max<int64_t>(0, options_.long_tasks - running));
}

}  // namespace baton
