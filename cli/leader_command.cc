// baton leader, baton leader transfer

#include <memory>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/command.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

void RunLeader(CommandContext& context) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto leader = (*client)->Leader();
  if (!leader.ok()) return context.Fail(leader.status());
  if (leader->value.replica.empty()) return context.Fail(Unavailable("nobody leads"));
  if (context.json()) return Print(leader->json);
  Print(fmt::format("{} leads epoch {} at {}", leader->value.replica, leader->value.epoch,
                    leader->value.address));
}

// Returns when the next leader is known, so that a script can go on with the next host.
void RunTransfer(CommandContext& context) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto before = (*client)->Leader();
  if (!before.ok()) return context.Fail(before.status());
  auto said = (*client)->Transfer();
  if (!said.ok()) return context.Fail(said.status());
  absl::StatusOr<Answer<LeaderView>> now = before;
  const bool moved = WaitUntil(
      [&] {
        now = (*client)->Leader();
        return now.ok() && now->value.epoch > before->value.epoch && !now->value.replica.empty();
      },
      Clock::now() + std::chrono::seconds(30));
  if (!moved) return context.Fail(DeadlineExceeded("no other replica took over within 30 s"));
  Print(context.json()
            ? now->json
            : fmt::format("{} leads epoch {} now (before: {}, epoch {})", now->value.replica,
                          now->value.epoch, before->value.replica, before->value.epoch));
}

}  // namespace

void AddLeaderCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("leader", "Say who leads, or hand the baton over");
  CLI::App* transfer = command->add_subcommand("transfer", "The leader hands over to a standby");
  command->fallthrough();
  transfer->callback([&context] { RunTransfer(context); });
  command->callback([&context, command] {
    if (command->get_subcommands().empty()) RunLeader(context);
  });
}

}  // namespace baton
