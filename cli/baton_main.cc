// The `baton` command: submits and watches jobs, asks who leads, runs clusters and drills.

#include <cstdlib>

#include "CLI/CLI.hpp"
#include "cli/command.h"

namespace {

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0  done\n"
    "  1  the job failed, or the command failed\n"
    "  2  the command line is wrong\n"
    "  3  not found\n"
    "  4  the server cannot be reached, or nobody leads: try again\n"
    "  5  the server refuses what was asked\n"
    "  6  the job was cancelled\n";

std::string DefaultServer() {
  const char* server = std::getenv("BATON_SERVER");
  return server != nullptr ? server : "http://127.0.0.1:8081";
}

void AddGlobalOptions(CLI::App& app, baton::CommandContext& context) {
  context.server = DefaultServer();
  app.add_option("--server", context.server,
                 "A replica or the load balancer (environment: BATON_SERVER)")
      ->capture_default_str();
  app.add_flag_callback(
      "--json", [&context] { context.format = baton::OutputFormat::kJson; },
      "Print JSON, as the server sent it where it did");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Baton: a highly available job dispatcher", "baton");
  baton::CommandContext context;
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kExitCodes);
  AddGlobalOptions(app, context);
  baton::AddSubmitCommand(app, context);
  baton::AddListCommand(app, context);
  baton::AddShowCommand(app, context);
  baton::AddLogsCommand(app, context);
  baton::AddCancelCommand(app, context);
  baton::AddLeaderCommand(app, context);
  baton::AddReplicaCommand(app, context);
  baton::AddTaskManagersCommand(app, context);
  baton::AddImportCommand(app, context);
  baton::AddRunCommand(app, context);
  baton::AddClusterCommand(app, context);
  baton::AddRecoverCommand(app, context);
  baton::AddDrillCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? baton::kExitOk : baton::kExitUsage;
  }
  return context.exit_code;
}
