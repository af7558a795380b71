// baton cluster up|status|down|kill|pause|resume|restart|cut|lose|heal

#include <chrono>
#include <functional>
#include <memory>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "base/units.h"
#include "cli/cluster/local_cluster.h"
#include "cli/cluster_status.h"
#include "cli/command.h"

namespace baton {
namespace {

struct ClusterArguments {
  ClusterOptions options;
  std::string session_timeout = "10s";
  std::string node;
  std::string other;  // of a cut; empty: everybody
  bool one_way = false;
  int percent = 0;
};

void RunUp(CommandContext& context, ClusterArguments arguments) {
  auto timeout = ParseDuration(arguments.session_timeout);
  if (!timeout.ok()) return context.FailUsage(At("--session-timeout", timeout.status()));
  arguments.options.session_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(*timeout);
  auto cluster = LocalCluster::Up(arguments.options);
  if (!cluster.ok()) {
    context.Fail(cluster.status());
    context.exit_code = kExitFailed;
    return;
  }
  Print(DescribeCluster((*cluster)->state()));
}

using Action = std::function<absl::Status(LocalCluster&, const ClusterArguments&)>;

void RunOnCluster(CommandContext& context, const ClusterArguments& arguments,
                  const Action& action) {
  auto cluster = LocalCluster::Open(arguments.options.directory);
  if (!cluster.ok()) return context.Fail(cluster.status());
  context.Finish(action(**cluster, arguments));
}

absl::Status Restart(LocalCluster& cluster, const ClusterArguments& arguments) {
  // "leader" names another process once it is down: settle first who is meant.
  auto name = cluster.Resolve(arguments.node);
  return name.ok() ? cluster.Restart(*name) : name.status();
}

absl::Status Cut(LocalCluster& cluster, const ClusterArguments& arguments) {
  if (arguments.other.empty()) {
    if (arguments.one_way) return InvalidArgument("--one-way needs two names");
    return cluster.CutOff(arguments.node);
  }
  return cluster.Cut(arguments.node, arguments.other,
                     arguments.one_way ? CutDirection::kOneWay : CutDirection::kBothWays);
}

absl::Status Heal(LocalCluster& cluster, const ClusterArguments& arguments) {
  if (arguments.node.empty()) return cluster.HealAll();
  return arguments.other.empty() ? cluster.Heal(arguments.node)
                                 : cluster.Heal(arguments.node, arguments.other);
}

// A sub-command on a running cluster; `node` where it concerns one process.
CLI::App* AddAction(CLI::App* parent, CommandContext& context,
                    const std::shared_ptr<ClusterArguments>& arguments, const char* name,
                    const char* description, Action action) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->add_option("--dir", arguments->options.directory, "The cluster's directory")->required();
  command->callback([&context, arguments, action] { RunOnCluster(context, *arguments, action); });
  return command;
}

void AddNode(CLI::App* command, const std::shared_ptr<ClusterArguments>& arguments) {
  command
      ->add_option("NAME", arguments->node,
                   "replica-1, taskmanager-1, zookeeper-1, haproxy …, or leader")
      ->required();
}

void AddUp(CLI::App* parent, CommandContext& context,
           const std::shared_ptr<ClusterArguments>& arguments) {
  ClusterOptions& options = arguments->options;
  CLI::App* up = parent->add_subcommand("up", "Start one and wait until it is ready");
  up->add_option("--dir", options.directory, "Where its files, logs and state go")->required();
  up->add_option("--replicas", options.replicas, "Dispatchers")->capture_default_str();
  up->add_option("--taskmanagers", options.task_managers, "Workers")->capture_default_str();
  up->add_option("--slots", options.slots, "Slots of each worker")->capture_default_str();
  up->add_option("--zookeepers", options.zookeepers, "ZooKeeper servers: 1 or 3")
      ->capture_default_str();
  up->add_option("--session-timeout", arguments->session_timeout, "ZooKeeper's")
      ->capture_default_str();
  up->add_flag("--hosts", options.hosts,
               "Each process on a host (network namespace) of its own, so that the network between "
               "them can be cut; needs root");
  up->callback([&context, arguments] { RunUp(context, *arguments); });
}

void AddCuts(CLI::App* cut, CLI::App* heal, const std::shared_ptr<ClusterArguments>& arguments) {
  for (CLI::App* command : {cut, heal}) {
    auto* first = command->add_option("A", arguments->node,
                                      "A process's name, leader, or machine: who uses the cluster");
    if (command == cut) first->required();
    command->add_option("B", arguments->other, "The same; everybody if it is left out");
  }
  cut->add_flag("--one-way", arguments->one_way, "Only what A sends to B is lost");
}

}  // namespace

void AddClusterCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<ClusterArguments>();
  CLI::App* cluster = app.add_subcommand(
      "cluster", "A cluster of real processes on this machine, for trials and tests");
  cluster->require_subcommand(1);
  AddUp(cluster, context, arguments);
  const auto add = [&](const char* name, const char* text, Action action) {
    return AddAction(cluster, context, arguments, name, text, std::move(action));
  };
  add("status", "Show its processes", [&context](LocalCluster& local, const auto&) {
    Print(context.json() ? ClusterStatusJson(local) : ClusterStatusTable(local));
    return absl::OkStatus();
  });
  add("down", "End all its processes; its files stay",
      [](LocalCluster& local, const auto&) { return local.Down(); });
  AddNode(add("kill", "SIGKILL", [](auto& local, const auto& a) { return local.Kill(a.node); }),
          arguments);
  AddNode(add("pause", "SIGSTOP", [](auto& local, const auto& a) { return local.Pause(a.node); }),
          arguments);
  AddNode(add("resume", "SIGCONT", [](auto& local, const auto& a) { return local.Resume(a.node); }),
          arguments);
  AddCuts(add("cut", "Lose what one host sends to another, in silence (up --hosts)", &Cut),
          add("heal", "End a cut; without names: all of them, and losses", &Heal), arguments);
  add("lose", "Lose so many percent of all packets between hosts",
      [](LocalCluster& local, const auto& a) { return local.Lose(a.percent); })
      ->add_option("PERCENT", arguments->percent, "0: none")
      ->required()
      ->check(CLI::Range(0, 100));
  AddNode(add("restart", "Start it again on its old ports", &Restart), arguments);
}

}  // namespace baton
