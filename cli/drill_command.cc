// baton drill --dir D | --server URL --kill CMD, with --fault KIND; baton drill --chaos

#include <cstdio>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "base/units.h"
#include "cli/chaos_command.h"
#include "cli/command.h"
#include "cli/drill/drill.h"

namespace baton {
namespace {

// The same long tasks may lose their worker in every round, and a JobMaster gives up a subtask that
// has lost ten.
constexpr int kMostWorkerRounds = 9;

struct DrillArguments {
  std::string directory;
  CommandTargetOptions command;
  DrillOptions drill;
  std::string fault = "kill";
  std::string outage = "5s";
  std::string settle = "2s";
  std::string session_timeout;
};

absl::StatusOr<std::unique_ptr<DrillTarget>> MakeTarget(const CommandContext& context,
                                                        DrillArguments& arguments) {
  if (!arguments.directory.empty()) {
    auto cluster = LocalCluster::Open(arguments.directory);
    if (!cluster.ok()) return cluster.status();
    return NewLocalTarget(*std::move(cluster));
  }
  if (arguments.command.shared_directory.empty()) {
    return InvalidArgument(
        "a drill needs --dir D (a local cluster), or --server URL with --kill CMD (or --fault "
        "transfer) and --shared-dir D (where the tasks' shared directory is seen here)");
  }
  if (!arguments.session_timeout.empty()) {
    auto timeout = ParseDuration(arguments.session_timeout);
    if (!timeout.ok()) return At("--session-timeout", timeout.status());
    arguments.command.session_timeout_ms = ToMillis(*timeout);
  }
  arguments.command.server = context.server;
  return NewCommandTarget(arguments.command);
}

absl::Status ReadOptions(DrillArguments* arguments) {
  auto settle = ParseDuration(arguments->settle);
  if (!settle.ok()) return At("--settle", settle.status());
  auto outage = ParseDuration(arguments->outage);
  if (!outage.ok()) return At("--outage", outage.status());
  if (arguments->drill.jobs_per_second < 20) {
    return InvalidArgument("--rate: at least 20, because the gap is measured in steps of 50 ms");
  }
  const auto fault = FaultNamed(arguments->fault);
  if (!fault) return InvalidArgument("--fault: must be one of {}", FaultNames());
  if (*fault == Fault::kWorker && arguments->drill.rounds > kMostWorkerRounds) {
    return InvalidArgument(
        "--rounds: at most {} with --fault worker, because a task that loses its worker ten times "
        "fails; repeat the drill for more",
        kMostWorkerRounds);
  }
  arguments->drill.fault = *fault;
  arguments->drill.settle = std::chrono::duration_cast<std::chrono::milliseconds>(*settle);
  arguments->drill.outage = std::chrono::duration_cast<std::chrono::milliseconds>(*outage);
  return absl::OkStatus();
}

void RunDrill(CommandContext& context, DrillArguments arguments) {
  if (auto status = ReadOptions(&arguments); !status.ok()) return context.FailUsage(status);
  auto target = MakeTarget(context, arguments);
  if (target.ok()) {
    if (auto status = (*target)->CheckFault(arguments.drill.fault); !status.ok()) target = status;
  }
  if (absl::IsInvalidArgument(target.status())) return context.FailUsage(target.status());
  if (!target.ok()) return context.Fail(target.status());
  Drill drill(arguments.drill, *std::move(target),
              [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
  DrillReport report;
  const absl::Status status = drill.Run(&report);
  if (!report.rounds.empty() || status.ok()) Print(ToJson(report));
  if (!status.ok()) return context.Fail(status);
  if (!report.Passed()) context.exit_code = kExitFailed;
}

}  // namespace

void AddDrillCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<DrillArguments>();
  auto chaos = std::make_shared<ChaosArguments>();
  CLI::App* command = app.add_subcommand(
      "drill",
      "Do a fault to a cluster again and again under load; 0 only if no job was lost or run twice "
      "and no task restarted without a reason");
  auto* directory = command->add_option("--dir", arguments->directory, "A local cluster");
  command
      ->add_option("--kill", arguments->command.kill_command,
                   "For a cluster at --server: a shell command that kills the leader, whose id is "
                   "$1 and $BATON_LEADER")
      ->excludes(directory);
  command
      ->add_option("--shared-dir", arguments->command.shared_directory,
                   "With --kill: the tasks' shared directory as seen here")
      ->excludes(directory);
  command->add_option("--session-timeout", arguments->session_timeout,
                      "With --kill: ZooKeeper's, for the report");
  command
      ->add_option("--fault", arguments->fault,
                   "kill: SIGKILL for the leader. hang: SIGSTOP until another leads. transfer: it "
                   "hands over. zookeeper: its servers are down for --outage. worker: SIGKILL for "
                   "a TaskManager. host: the leader's host is cut off (cluster up --hosts)")
      ->capture_default_str();
  command->add_option("--outage", arguments->outage, "With --fault zookeeper: how long")
      ->capture_default_str();
  command->add_option("--rounds", arguments->drill.rounds, "How many times")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  CLI::Option* rate = command->add_option("--rate", arguments->drill.jobs_per_second,
                                          "Small jobs a second (from 20; with --chaos 6)");
  rate->check(CLI::Range(1.0, 1'000.0));
  command->add_option("--long-tasks", arguments->drill.long_tasks, "Tasks that must not notice")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command->add_option("--settle", arguments->settle, "Load before the first round and after each")
      ->capture_default_str();
  AddChaosArguments(command, chaos);
  command->callback([&context, arguments, chaos, rate] {
    if (!chaos->wanted) return RunDrill(context, *arguments);
    if (rate->count() > 0) chaos->jobs_per_second = arguments->drill.jobs_per_second;
    RunChaos(context, *chaos, arguments->directory);
  });
}

}  // namespace baton
