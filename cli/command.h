// What every command of `baton` shares: the server, the output format, exit codes, error output.

#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rest/client/rest_client.h"

namespace CLI {
class App;
}

namespace baton {

// For scripts; documented in `baton --help`.
enum ExitCode {
  kExitOk = 0,
  kExitFailed = 1,       // the job failed, or the command failed
  kExitUsage = 2,        // the command line is wrong
  kExitNotFound = 3,     // no such job, process, file
  kExitUnreachable = 4,  // nobody answers, or nobody leads: try again
  kExitRefused = 5,      // the server refuses what was asked (4xx)
  kExitCancelled = 6,    // the job was cancelled
};

enum class OutputFormat { kText, kJson };

// Filled by the command line before a command runs; the command leaves its exit code.
struct CommandContext {
  std::string server;
  OutputFormat format = OutputFormat::kText;
  int exit_code = kExitOk;

  absl::StatusOr<std::unique_ptr<RestClient>> Connect() const;
  bool json() const { return format == OutputFormat::kJson; }
  // One sentence on stderr that says what to do next, and the exit code that fits.
  void Fail(const absl::Status& status);
  // What is wrong with the command line itself.
  void FailUsage(const absl::Status& status) {
    Fail(status);
    exit_code = kExitUsage;
  }
  void Finish(const absl::Status& status) {
    if (!status.ok()) Fail(status);
  }
};

int ExitCodeOf(const absl::Status& status);

// Writes the text and, if it has none, a newline.
void Print(const std::string& text);

// Every command adds itself; `context` outlives `app`.
void AddSubmitCommand(CLI::App& app, CommandContext& context);
void AddListCommand(CLI::App& app, CommandContext& context);
void AddShowCommand(CLI::App& app, CommandContext& context);
void AddLogsCommand(CLI::App& app, CommandContext& context);
void AddCancelCommand(CLI::App& app, CommandContext& context);
void AddLeaderCommand(CLI::App& app, CommandContext& context);
void AddReplicaCommand(CLI::App& app, CommandContext& context);
void AddTaskManagersCommand(CLI::App& app, CommandContext& context);
void AddImportCommand(CLI::App& app, CommandContext& context);
void AddRunCommand(CLI::App& app, CommandContext& context);
void AddClusterCommand(CLI::App& app, CommandContext& context);
void AddRecoverCommand(CLI::App& app, CommandContext& context);
void AddDrillCommand(CLI::App& app, CommandContext& context);

// Waits for the job's end (bounded); prints it; 0 only for FINISHED or, where `wanted` says so, for
// another end.
void WaitForJob(CommandContext& context, RestClient& client, const std::string& id,
                const std::string& wanted = "FINISHED",
                std::chrono::seconds deadline = std::chrono::hours(24));

}  // namespace baton
