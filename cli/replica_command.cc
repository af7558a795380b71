// baton replica, baton replica retire, baton replica admit

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/cluster/node_files.h"
#include "cli/command.h"

namespace baton {
namespace {

struct AdmitOptions {
  std::string id;
  bool force = false;
  std::string config;
  std::vector<std::string> settings;  // key=value
};

constexpr const char* kForceWarning =
    "baton: writing the list of members past every leader.\n"
    "  TaskManagers that cannot reach the replica admitted do not know that it may lead. A task "
    "of\n"
    "  theirs that the new leader restarts elsewhere would run twice. Make sure that each of them\n"
    "  reaches it (taskmanager.dispatchers), or stop it, before this replica leads.\n";

void RunList(CommandContext& context) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto replicas = (*client)->Replicas();
  if (!replicas.ok()) return context.Fail(replicas.status());
  if (context.json()) return Print(replicas->json);
  std::string table = fmt::format("{:24}  {:5}  {:8}  {:22}\n", "ID", "ALIVE", "MEMBER", "ADDRESS");
  for (const ReplicaRow& replica : replicas->value) {
    table += fmt::format("{:24}  {:5}  {:8}  {:22}{}\n", replica.id, replica.alive ? "yes" : "no",
                         replica.member    ? "yes"
                         : replica.retired ? "retired"
                                           : "no",
                         replica.address.empty() ? "-" : replica.address,
                         replica.leader ? "  leader" : "");
  }
  Print(table);
}

void RunRetire(CommandContext& context, const std::string& id) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  const absl::Status status = (*client)->Retire(id);
  if (!status.ok()) return context.Fail(status);
  Print(context.json() ? "{}" : fmt::format("{} is retired: it does not lead any more", id));
}

// The daemon has the configuration and the way to ZooKeeper; it replaces this process.
void ForceAdmit(CommandContext& context, const AdmitOptions& options) {
  if (options.config.empty() || !options.id.empty()) {
    return context.FailUsage(InvalidArgument(
        "--force admits the replica whose configuration is named with --config, and no other"));
  }
  auto program = DaemonPath("baton-dispatcher");
  if (!program.ok()) return context.Fail(program.status());
  std::fputs(kForceWarning, stderr);
  std::vector<std::string> arguments = {*program, "--config", options.config, "--force-admission"};
  for (const std::string& setting : options.settings) {
    arguments.insert(arguments.end(), {"-D", setting});
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  context.Fail(Internal("{}: {}", *program, std::strerror(errno)));
}

void RunAdmit(CommandContext& context, const AdmitOptions& options) {
  if (options.force) return ForceAdmit(context, options);
  if (options.id.empty()) return context.FailUsage(InvalidArgument("which replica?"));
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  const absl::Status status = (*client)->Admit(options.id);
  if (!status.ok()) return context.Fail(status);
  Print(context.json() ? "{}" : fmt::format("{} is admitted as soon as it is there", options.id));
}

void AddAdmit(CLI::App& parent, CommandContext& context) {
  auto options = std::make_shared<AdmitOptions>();
  CLI::App* admit = parent.add_subcommand(
      "admit", "Let a retired replica be a member again. Others are admitted by themselves");
  admit->add_option("id", options->id, "As `baton replica` shows it");
  CLI::Option* force = admit->add_flag(
      "--force", options->force,
      "When no member can lead any more: write the replica of --config into the list of members in "
      "ZooKeeper. Refused while a leader or a member lives");
  admit->add_option("--config", options->config, "The configuration file of that replica")
      ->needs(force);
  admit->add_option("-D", options->settings, "key=value, wins over the file")->needs(force);
  admit->callback([&context, options] { RunAdmit(context, *options); });
}

}  // namespace

void AddReplicaCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command =
      app.add_subcommand("replica", "List the replicas, retire one, admit one again");
  command->fallthrough();
  auto id = std::make_shared<std::string>();
  CLI::App* retire = command->add_subcommand(
      "retire", "Take a replica out of the members for good; it may run on, but never leads");
  retire->add_option("id", *id, "As `baton replica` shows it")->required();
  retire->callback([&context, id] { RunRetire(context, *id); });
  AddAdmit(*command, context);
  command->callback([&context, command] {
    if (command->get_subcommands().empty()) RunList(context);
  });
}

}  // namespace baton
