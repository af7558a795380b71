// baton taskmanagers, baton taskmanagers drain, baton taskmanagers forget

#include <algorithm>
#include <memory>
#include <optional>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/command.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

struct DrainOptions {
  std::string id;
  std::string deadline;  // empty: none
  bool cancel = false;
  bool wait = false;
};

std::string StateOf(const TaskManagerRow& worker) {
  if (!worker.draining) return worker.status;
  return worker.free_slots == worker.slots ? "drained" : "draining";
}

void RunList(CommandContext& context) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto workers = (*client)->TaskManagers();
  if (!workers.ok()) return context.Fail(workers.status());
  if (context.json()) return Print(workers->json);
  std::string table =
      fmt::format("{:32}  {:12}  {:>11}  {}\n", "ID", "STATE", "SLOTS USED", "LINK");
  for (const TaskManagerRow& worker : workers->value) {
    table += fmt::format("{:32}  {:12}  {:>11}  {}\n", worker.id, StateOf(worker),
                         fmt::format("{}/{}", worker.slots - worker.free_slots, worker.slots),
                         worker.path.empty() ? "-" : worker.path);
  }
  Print(table);
}

// Until it runs nothing any more. A failover meanwhile is no reason to give up.
void WaitUntilDrained(CommandContext& context, RestClient& client, const std::string& id) {
  absl::Status last;
  const bool drained = WaitUntil(
      [&] {
        auto workers = client.TaskManagers();
        if (!workers.ok()) return false;
        const auto& rows = workers->value;
        const auto worker =
            std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.id == id; });
        if (worker == rows.end()) {
          last = NotFound("TaskManager {} is gone", id);
          return true;
        }
        if (worker->status == "connected" && !worker->draining) {
          last = FailedPrecondition("TaskManager {} does not drain any more", id);
          return true;
        }
        return worker->status == "connected" && worker->free_slots == worker->slots;
      },
      Clock::now() + std::chrono::hours(24), std::chrono::milliseconds(500));
  if (!last.ok()) return context.Fail(last);
  if (!drained) return context.Fail(DeadlineExceeded("TaskManager {} still runs tasks", id));
  if (!context.json()) Print(fmt::format("{} is drained", id));
}

void RunDrain(CommandContext& context, const DrainOptions& options) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  if (options.cancel) {
    const absl::Status status = (*client)->CancelDrain(options.id);
    if (!status.ok()) return context.Fail(status);
    return Print(context.json() ? "{}" : fmt::format("{} takes tasks again", options.id));
  }
  const auto deadline =
      options.deadline.empty() ? std::nullopt : std::optional<std::string>(options.deadline);
  const absl::Status status = (*client)->Drain(options.id, deadline);
  if (!status.ok()) return context.Fail(status);
  Print(context.json() ? "{}"
                       : fmt::format("{} takes no more tasks; {}", options.id,
                                     deadline ? "what still runs then is moved in " + *deadline
                                              : "those that run may finish"));
  if (options.wait) WaitUntilDrained(context, **client, options.id);
}

void RunForget(CommandContext& context, const std::string& id) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  const absl::Status status = (*client)->Forget(id);
  if (!status.ok()) return context.Fail(status);
  Print(context.json() ? "{}" : fmt::format("{} is forgotten; its tasks run elsewhere", id));
}

void AddDrain(CLI::App& parent, CommandContext& context) {
  auto options = std::make_shared<DrainOptions>();
  CLI::App* drain = parent.add_subcommand("drain", "Give a TaskManager no more tasks");
  drain->add_option("id", options->id, "As `baton taskmanagers` shows it")->required();
  CLI::Option* deadline =
      drain->add_option("--deadline", options->deadline,
                        "Then the tasks that still run are ended and run elsewhere, e.g. 10min; it "
                        "costs them no restart. Without it they may finish");
  drain->add_flag("--cancel", options->cancel, "Let it take tasks again")->excludes(deadline);
  drain->add_flag("--wait", options->wait, "Return when it runs nothing any more");
  drain->callback([&context, options] { RunDrain(context, *options); });
}

}  // namespace

void AddTaskManagersCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command =
      app.add_subcommand("taskmanagers", "List the TaskManagers, drain one, forget a dead one");
  command->fallthrough();
  AddDrain(*command, context);
  auto id = std::make_shared<std::string>();
  CLI::App* forget = command->add_subcommand(
      "forget",
      "Say that the host of a TaskManager is dead: its tasks run elsewhere at once instead of when "
      "its lease is over. If it lives after all, they run twice until it is heard");
  forget->add_option("id", *id, "As `baton taskmanagers` shows it")->required();
  forget->callback([&context, id] { RunForget(context, *id); });
  command->callback([&context, command] {
    if (command->get_subcommands().empty()) RunList(context);
  });
}

}  // namespace baton
