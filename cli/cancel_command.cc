// baton cancel ID [--wait]

#include <memory>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/command.h"

namespace baton {
namespace {

struct CancelOptions {
  std::string id;
  bool wait = false;
};

void RunCancel(CommandContext& context, const CancelOptions& options) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  if (auto status = (*client)->Cancel(options.id); !status.ok()) return context.Fail(status);
  if (options.wait) return WaitForJob(context, **client, options.id, "CANCELED");
  Print(context.json() ? "{}" : fmt::format("{} is being cancelled", options.id));
}

}  // namespace

void AddCancelCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<CancelOptions>();
  CLI::App* command = app.add_subcommand("cancel", "Cancel a job");
  command->add_option("ID", options->id, "The job's id")->required();
  command->add_flag("--wait", options->wait, "Wait until it is CANCELED");
  command->callback([&context, options] { RunCancel(context, *options); });
}

}  // namespace baton
