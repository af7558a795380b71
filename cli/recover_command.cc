// baton recover-pointers [--without REPLICA]…

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "cli/command.h"
#include "fmt/ranges.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

void RunRecover(CommandContext& context, const std::vector<std::string>& without) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto report = (*client)->RecoverPointers(fmt::format("{}", fmt::join(without, ",")));
  if (!report.ok()) return context.Fail(report.status());
  if (context.json()) return Print(*report);
  const auto read = nlohmann::json::parse(*report, nullptr, false);
  if (!read.is_object()) return Print(*report);
  Print(fmt::format(
      "{} jobs and {} results are back, from the journals of {}; a leader above epoch "
      "{} follows",
      read.value("jobs", 0), read.value("results", 0),
      fmt::join(read.value("asked", std::vector<std::string>()), ", "), read.value("epoch", 0)));
}

}  // namespace

void AddRecoverCommand(CLI::App& app, CommandContext& context) {
  auto without = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand("recover-pointers",
                                         "When ZooKeeper's data is lost: rebuild what stood there "
                                         "from the replicas' journals. Ask one "
                                         "replica itself (--server), not the balancer");
  command->add_option("--without", *without,
                      "A member whose disk is lost, or that cannot be started; repeatable");
  command->callback([&context, without] { RunRecover(context, *without); });
}

}  // namespace baton
