// baton run FILE|- [--dir DIR] [--logs] [--slots N] [-D key=value]: a cluster for one job.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/cluster/cluster_state.h"
#include "cli/command.h"
#include "cli/run/embedded_process.h"
#include "cli/run/run_output.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPollInterval(100);
constexpr std::chrono::seconds kLogsLimit(10);  // after the end of the job
constexpr std::chrono::seconds kSilenceLimit(30);

struct RunOptions {
  std::string file;
  std::string directory;  // empty: one of its own, removed in the end
  int slots = 0;
  std::vector<std::string> overrides;
  bool logs = false;
};

// How often Ctrl-C (or SIGTERM) was asked for: once cancels the job, twice ends everything.
volatile std::sig_atomic_t interrupts = 0;

void CountInterrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupts = interrupts + 1; };
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

// The directory of this run; removed with the object if it is of its own.
class RunDirectory {
 public:
  static absl::StatusOr<RunDirectory> Make(const std::string& wanted) {
    if (!wanted.empty()) return RunDirectory(wanted, Keep::kYes);
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "baton-run.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) return Unavailable("cannot make {}", name);
    return RunDirectory(name, Keep::kNo);
  }
  RunDirectory(RunDirectory&& other) noexcept
      : path_(std::exchange(other.path_, "")), keep_(other.keep_) {}
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory() {
    std::error_code error;
    if (keep_ == Keep::kNo && !path_.empty()) fs::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  enum class Keep { kNo, kYes };
  RunDirectory(std::string path, Keep keep) : path_(std::move(path)), keep_(keep) {}

  std::string path_;
  const Keep keep_;
};

// Watches one job to its end.
class JobRun {
 public:
  JobRun(CommandContext& context, const RunOptions& options, EmbeddedProcess& process,
         RestClient& client)
      : context_(context), options_(options), process_(process), client_(client) {}

  void Run(const std::string& job_json) {
    auto submitted = client_.Submit(job_json);
    if (!submitted.ok()) return context_.Fail(submitted.status());
    id_ = submitted->value.id;
    if (!context_.json()) {
      fmt::print(stderr, "job {}  {}\n", id_, process_.server());
    }
    TaskOutput output(client_, id_);
    const absl::Status watched = Watch(output);
    if (!watched.ok()) return context_.Fail(watched);
    if (options_.logs) {
      WaitUntil([&] { return interrupts > 1 || output.CopyNew(view_.value); },
                Clock::now() + kLogsLimit, kPollInterval);
    }
    Report();
  }

 private:
  absl::Status Watch(TaskOutput& output) {
    auto answered = Clock::now();
    for (bool cancelled = false;;) {
      if (interrupts > 1) return Aborted("ended before the job was");
      if (process_.HasDied()) {
        return Aborted("the dispatcher died; its log is {}", process_.log_file());
      }
      if (interrupts > 0 && !cancelled) cancelled = Cancel();
      auto job = client_.GetJob(id_);
      if (job.ok()) {
        answered = Clock::now();
        view_ = *std::move(job);
        if (!context_.json()) fmt::print(stderr, "{}", progress_.Next(view_.value));
        if (options_.logs) output.CopyNew(view_.value);
        if (view_.value.Ended()) return absl::OkStatus();
      } else if (!absl::IsUnavailable(job.status()) || Clock::now() - answered > kSilenceLimit) {
        return job.status();
      }
      RestUntil(Clock::now() + kPollInterval);
    }
  }

  bool Cancel() {
    fmt::print(stderr, "cancelling the job; once more ends it at once\n");
    return client_.Cancel(id_).ok();
  }

  void Report() {
    const JobView& job = view_.value;
    context_.exit_code = job.state == "FINISHED"   ? kExitOk
                         : job.state == "CANCELED" ? kExitCancelled
                                                   : kExitFailed;
    if (context_.json()) Print(view_.json);
    if (job.state == "FAILED") fmt::print(stderr, "{}\n", FailureText(client_, job));
    if (!context_.json()) fmt::print(stderr, "{} in {}\n", job.state, SpanText(job.duration_ms));
  }

  CommandContext& context_;
  const RunOptions& options_;
  EmbeddedProcess& process_;
  RestClient& client_;
  std::string id_;
  Answer<JobView> view_;
  ProgressLines progress_;
};

absl::StatusOr<std::string> ReadJob(const std::string& file) {
  if (file != "-") return ReadFile(file);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

void RunRun(CommandContext& context, const RunOptions& options) {
  auto job = ReadJob(options.file);
  if (!job.ok()) return context.Fail(job.status());
  auto directory = RunDirectory::Make(options.directory);
  if (!directory.ok()) return context.Fail(directory.status());
  CountInterrupts();
  EmbeddedProcess::Options process_options{directory->path(), options.overrides};
  if (options.slots > 0) {
    process_options.overrides.push_back(
        fmt::format("taskmanager.numberOfTaskSlots={}", options.slots));
  }
  auto process = EmbeddedProcess::Start(process_options);
  if (!process.ok()) return context.Fail(process.status());
  auto client = RestClient::Open((*process)->server());
  if (!client.ok()) return context.Fail(client.status());
  JobRun(context, options, **process, **client).Run(*job);
  interrupts > 1 ? (*process)->Kill() : (*process)->Stop();
}

}  // namespace

void AddRunCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand(
      "run", "Run one job here, without a cluster, and exit with what became of it");
  command->add_option("FILE", options->file, "The job as JSON; - reads stdin")->required();
  command->add_option("--dir", options->directory,
                      "Keep store, tasks and logs here (default: a directory of its own, removed "
                      "in the end)");
  command->add_option("--slots", options->slots, "Tasks at once (default: one a core)")
      ->check(CLI::Range(1, 10'000));
  command->add_option("-D", options->overrides, "key=value of the dispatcher's configuration")
      ->allow_extra_args(false);
  command->add_flag("--logs", options->logs, "Print what the tasks write");
  command->callback([&context, options] { RunRun(context, *options); });
}

}  // namespace baton
