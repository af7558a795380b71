#include "cli/chaos_command.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/chaos/chaos.h"
#include "cli/chaos/chaos_report.h"
#include "cli/cluster/tool.h"

namespace baton {
namespace {

// The commit of the sources that these programs were built from, as far as they stand in a clone.
std::string Commit() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  auto commit = RunTool(
      {"git", "-C", self.parent_path().string(), "describe", "--always", "--dirty", "--abbrev=12"},
      "");
  if (!commit.ok()) return "unknown";
  while (commit->ends_with('\n')) commit->pop_back();
  return *commit;
}

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
  return text;
}

absl::StatusOr<std::string> OwnDirectory() {
  std::string directory = (std::filesystem::temp_directory_path() / "baton-chaos.XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return Internal("cannot make {}", directory);
  return directory;
}

absl::Status WriteReport(const ChaosReport& report, const std::string& file) {
  if (file.empty()) {
    Print(ToJson(report));
    return absl::OkStatus();
  }
  const std::string base = file.ends_with(".md") ? file.substr(0, file.size() - 3) : file;
  if (auto status = WriteFile(base + ".md", ToMarkdown(report)); !status.ok()) return status;
  return WriteFile(base + ".json", ToJson(report) + "\n");
}

void Say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

void SayVerdicts(const ChaosReport& report) {
  for (const Verdict& verdict : report.verdicts) {
    Say(fmt::format("{:4}{} ({} judged, {} excused): {}", verdict.name,
                    verdict.holds() ? "holds" : "VIOLATED", verdict.checked, verdict.excused,
                    verdict.what));
    for (const std::string& violation : verdict.violations) Say("    " + violation);
  }
}

}  // namespace

void AddChaosArguments(CLI::App* drill, const std::shared_ptr<ChaosArguments>& arguments) {
  drill->add_flag("--chaos", arguments->wanted,
                  "Faults of every kind at random, several at once, to a cluster of its own (in "
                  "--dir, or a directory of its own) with each process on a host of its own; needs "
                  "root");
  drill->add_option("--minutes", arguments->minutes, "With --chaos: for how long")
      ->check(CLI::Range(0.1, 10'000.0))
      ->capture_default_str();
  drill->add_option("--seed", arguments->seed, "With --chaos: the faults are a function of it")
      ->capture_default_str();
  drill->add_option("--only", arguments->only,
                    "With --chaos: NAME[,NAME]: no faults but these, as the report calls them "
                    "(leader-kill, …; a wrong name lists all)");
  drill->add_option("--report", arguments->report,
                    "With --chaos: where the report goes, as FILE.md and FILE.json");
}

void RunChaos(CommandContext& context, const ChaosArguments& arguments,
              const std::string& directory) {
  ChaosOptions options;
  if (!arguments.only.empty()) {
    auto kinds = ChaosKindsNamed(arguments.only);
    if (!kinds.ok()) return context.FailUsage(At("--only", kinds.status()));
    options.kinds = *std::move(kinds);
  }
  auto own = directory.empty() ? OwnDirectory() : directory;
  if (!own.ok()) return context.Fail(own.status());
  options.directory = *own;
  options.seed = arguments.seed;
  options.jobs_per_second = arguments.jobs_per_second;
  options.duration = std::chrono::seconds(static_cast<int64_t>(arguments.minutes * 60));
  ChaosReport report;
  report.command = fmt::format("baton drill --chaos --minutes {} --seed {} --rate {}",
                               arguments.minutes, arguments.seed, arguments.jobs_per_second);
  if (!arguments.only.empty()) report.command += " --only " + arguments.only;
  report.version = Commit();
  report.started = UtcNow();
  double load[1] = {0};
  if (getloadavg(load, 1) == 1) report.load_average = load[0];
  Say(fmt::format("chaos: {} (files in {})", report.command, options.directory));
  absl::Status status;
  {
    Chaos chaos(options, &Say);
    status = chaos.Run(&report);
  }
  if (!report.verdicts.empty()) {
    SayVerdicts(report);
    if (auto written = WriteReport(report, arguments.report); !written.ok()) context.Fail(written);
  }
  const bool passed = status.ok() && report.Passed();
  const bool nothing_ran = report.verdicts.empty() && absl::IsFailedPrecondition(status);
  if (!passed && !nothing_ran) Say("chaos: to repeat it: " + report.command);
  std::error_code error;
  if (directory.empty() && (passed || nothing_ran)) {
    std::filesystem::remove_all(options.directory, error);
  } else if (!passed && !nothing_ran) {
    Say("chaos: the cluster's files and logs are kept in " + options.directory);
  }
  if (!status.ok()) return context.Fail(status);
  if (!passed) context.exit_code = kExitFailed;
}

}  // namespace baton
