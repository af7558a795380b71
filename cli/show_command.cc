// baton show ID

#include <memory>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/command.h"

namespace baton {
namespace {

std::string TaskCounts(const VertexRow& vertex) {
  std::string text;
  for (const auto& [state, count] : vertex.tasks) {
    if (count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, state);
  }
  return text;
}

void RunShow(CommandContext& context, const std::string& id) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto job = (*client)->GetJob(id);
  if (!job.ok()) return context.Fail(job.status());
  if (context.json()) return Print(job->json);
  const JobView& view = job->value;
  std::string text =
      fmt::format("{}  {}  {}  {} ms\n\n{:32}  {:12}  {:>9}  {}\n", view.id, view.state, view.name,
                  view.duration_ms, "VERTEX", "STATE", "MS", "TASKS");
  for (const VertexRow& vertex : view.vertices) {
    text += fmt::format("{:32}  {:12}  {:>9}  {}\n", vertex.id, vertex.state, vertex.duration_ms,
                        TaskCounts(vertex));
  }
  Print(text);
}

}  // namespace

void AddShowCommand(CLI::App& app, CommandContext& context) {
  auto id = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("show", "Show a job and its vertices");
  command->add_option("ID", *id, "The job's id")->required();
  command->callback([&context, id] { RunShow(context, *id); });
}

}  // namespace baton
