// baton list

#include <ctime>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/command.h"

namespace baton {
namespace {

std::string LocalTime(int64_t ms) {
  if (ms < 0) return "-";
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

void RunList(CommandContext& context) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto jobs = (*client)->ListJobs();
  if (!jobs.ok()) return context.Fail(jobs.status());
  if (context.json()) return Print(jobs->json);
  std::string table =
      fmt::format("{:32}  {:12}  {:19}  {:>9}  {}\n", "ID", "STATE", "STARTED", "TASKS", "NAME");
  for (JobRow& job : jobs->value) {
    table +=
        fmt::format("{:32}  {:12}  {:19}  {:>9}  {}\n", job.id, job.state, LocalTime(job.start_ms),
                    fmt::format("{}/{}", job.tasks["finished"], job.tasks_total), job.name);
  }
  Print(table);
}

}  // namespace

void AddListCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("list", "List the jobs, running and ended");
  command->callback([&context] { RunList(context); });
}

}  // namespace baton
