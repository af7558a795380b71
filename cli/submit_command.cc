// baton submit FILE|- [--id ID] [--wait]

#include <iostream>
#include <iterator>
#include <memory>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/cluster/cluster_state.h"
#include "cli/command.h"

namespace baton {
namespace {

struct SubmitOptions {
  std::string file;
  std::string id;
  bool wait = false;
};

absl::StatusOr<std::string> ReadJob(const std::string& file) {
  if (file != "-") return ReadFile(file);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

void RunSubmit(CommandContext& context, const SubmitOptions& options) {
  auto job = ReadJob(options.file);
  if (!job.ok()) return context.Fail(job.status());
  std::optional<JobId> id;
  if (!options.id.empty()) {
    auto parsed = JobId::Parse(options.id);
    if (!parsed.ok()) return context.FailUsage(At("--id", parsed.status()));
    id = *parsed;
  }
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto submitted = (*client)->Submit(*job, id);
  if (!submitted.ok()) return context.Fail(submitted.status());
  if (options.wait) return WaitForJob(context, **client, submitted->value.id);
  Print(context.json() ? submitted->json : submitted->value.id);
}

}  // namespace

void AddSubmitCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* command = app.add_subcommand("submit", "Submit a job and print its id");
  command->add_option("FILE", options->file, "The job as JSON; - reads stdin")->required();
  command->add_option("--id", options->id,
                      "The job's id (32 hex digits): submitting it again starts nothing new");
  command->add_flag("--wait", options->wait,
                    "Wait for the end; 1 if the job fails, 6 if it is cancelled");
  command->callback([&context, options] { RunSubmit(context, *options); });
}

}  // namespace baton
