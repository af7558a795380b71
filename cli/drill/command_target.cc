#include <sys/wait.h>

#include <cstdlib>
#include <functional>
#include <utility>

#include "base/status.h"
#include "cli/cluster/readiness.h"
#include "cli/drill/target.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kWholeDeadline(120);

class CommandTarget final : public DrillTarget {
 public:
  explicit CommandTarget(CommandTargetOptions options) : options_(std::move(options)) {}

  std::string server() const override { return options_.server; }
  std::string shared_directory() const override { return options_.shared_directory; }
  int64_t session_timeout_ms() const override { return options_.session_timeout_ms; }

  std::vector<std::string> WatchUrls(const std::string&) const override {
    return {options_.server};
  }

  absl::Status CheckFault(Fault fault) const override {
    if (KindOf(fault).needs_processes) {
      return InvalidArgument("--fault {} needs --dir: it is done to processes of this machine",
                             KindOf(fault).name);
    }
    if (fault == Fault::kKill && options_.kill_command.empty()) {
      return InvalidArgument("--fault kill needs --kill CMD, which kills the leader");
    }
    return absl::OkStatus();
  }

  absl::Status WaitWhole() override {
    return WaitFor([this] { return Whole(); });
  }

  std::string Victim(Fault, const std::string& leader, int) const override { return leader; }
  std::string PlaceOf(const std::string&) const override { return ""; }

  absl::StatusOr<std::string> Inject(Fault fault, const std::string& victim) override {
    last_victim_ = victim;
    if (fault == Fault::kTransfer) {
      if (auto status = TransferLeadership(server()); !status.ok()) return status;
      return "transferred";
    }
    setenv("BATON_LEADER", victim.c_str(), 1);
    const std::string command =
        fmt::format("sh -c '{}' kill-leader \"$BATON_LEADER\"", Quoted(options_.kill_command));
    const int status = std::system(command.c_str());
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return Internal("the command that kills {} failed: {}", victim, options_.kill_command);
    }
    return "killed by command";
  }

  absl::Status Undo(Fault, const std::string&) override { return absl::OkStatus(); }

 private:
  static std::string Quoted(const std::string& text) {
    std::string quoted;
    for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted;
  }

  static absl::Status WaitFor(const std::function<absl::Status()>& check) {
    absl::Status status;
    WaitUntil([&] { return (status = check()).ok(); }, Clock::now() + kWholeDeadline,
              std::chrono::milliseconds(100));
    return status;
  }

  // Somebody leads, and the last victim is among the living members again.
  absl::Status Whole() const {
    auto client = ProbeClient(options_.server);
    if (!client.ok()) return client.status();
    auto leader = (*client)->Leader();
    if (!leader.ok()) return leader.status();
    if (leader->value.replica.empty()) return Unavailable("nobody leads");
    if (last_victim_.empty()) return absl::OkStatus();
    auto rows = (*client)->Replicas();
    if (!rows.ok()) return rows.status();
    for (const ReplicaRow& row : rows->value) {
      if (row.id == last_victim_ && row.member && row.alive) return absl::OkStatus();
    }
    return Unavailable("{} is not back yet", last_victim_);
  }

  const CommandTargetOptions options_;
  std::string last_victim_;
};

}  // namespace

absl::Status TransferLeadership(const std::string& server) {
  auto client = RestClient::Open(server);
  return client.ok() ? (*client)->Transfer().status() : client.status();
}

std::unique_ptr<DrillTarget> NewCommandTarget(CommandTargetOptions options) {
  return std::make_unique<CommandTarget>(std::move(options));
}

}  // namespace baton
