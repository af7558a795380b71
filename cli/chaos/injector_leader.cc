// Faults for which a certain replica must lead, or must be at a certain step.

#include <array>

#include "base/fault_point.h"
#include "base/status.h"
#include "cli/chaos/injector.h"
#include "cli/cluster/readiness.h"
#include "cli/cluster/small_disk.h"
#include "cli/cluster/zookeeper_session.h"
#include "cli/drill/target.h"
#include "rest/client/http_session.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The steps of a submission at which its leader can be made to die (base/fault_point.h).
constexpr std::array kSteps = {"submission.before-store", "submission.stored-locally",
                               "submission.replicated",   "submission.pointer-committed",
                               "submission.answered",     "deployment.sent"};
// Shorter than what anybody takes for silence.
constexpr milliseconds kHandOver(1500);
constexpr seconds kSubmission(5);  // until there was one
constexpr seconds kReady(10);
// New work is refused, what runs is written down still.
constexpr uint64_t kLittleRoomBytes = 40 << 20;

bool Answers200(const std::string& url, const std::string& path) {
  auto client = ProbeClient(url);
  if (!client.ok()) return false;
  const auto answer = (*client)->Get(path);
  return answer.ok() && answer->status == 200;
}

}  // namespace

absl::Status ChaosInjector::DoInSteps(const PlannedFault& fault, ActiveFault* active) {
  switch (fault.kind) {
    case ChaosKind::kLeaderSession:
      return EndSession(active);
    case ChaosKind::kLeaderSubmission:
      return DieInSubmission(fault.lot, active);
    default:
      return FillDisk(fault, active);
  }
}

bool ChaosInjector::AwaitReady(const std::string& replica, seconds patience) {
  const std::string url = cluster_->RestUrl(replica);
  WaitUntil([&] { return !cluster_->Alive(replica) || Answers200(url, "/ready"); },
            Clock::now() + patience);
  return cluster_->Alive(replica) && Answers200(url, "/ready");
}

// The leader hands over, and whoever else could take over is stopped for that moment.
bool ChaosInjector::MakeLead(const std::string& replica) {
  const auto leader = cluster_->Leader();
  if (!leader.ok()) return false;
  if (*leader == replica) return true;
  auto transfer = HttpSession::Open({.server = cluster_->RestUrl(*leader), .timeout = kHandOver});
  if (!transfer.ok()) return false;
  const std::string url = cluster_->RestUrl(replica);
  const auto deadline = Clock::now() + kHandOver;
  auto others = Others(replica);
  // Whom a fault has stopped goes on when that fault ends.
  std::erase_if(others, [&](const std::string& o) { return o == *leader || stopped_.contains(o); });
  for (const std::string& other : others) (void)cluster_->Pause(other);
  (void)(*transfer)->Send("POST", "/v1/leader/transfer");
  bool led = false;
  WaitUntil(
      [&] {
        led = led || Answers200(url, "/leader");
        return led || !cluster_->Alive(replica);  // it may die of it at once
      },
      deadline, milliseconds(2));
  for (const std::string& other : others) (void)cluster_->Resume(other);
  return led || !cluster_->Alive(replica);
}

// F11. Asked for again until the server knows no such session: its owner, who connects anew at
// once, may have been faster, and have kept it.
absl::Status ChaosInjector::EndSession(ActiveFault* active) {
  const auto leader = cluster_->Leader();
  if (!leader.ok()) return active->LeaveOut("nobody leads");
  const std::string log = cluster_->state().LogFile(*leader);
  const int64_t session = LastSessionIn(log);
  bool closed = false;
  bool unknown = false;
  WaitUntil(
      [&] {
        for (const ClusterNode* server : cluster_->state().OfKind(NodeKind::kZooKeeper)) {
          const auto status = EndZooKeeperSession(server->Address(), session, seconds(1));
          closed = closed || status.ok();
          unknown = absl::IsFailedPrecondition(status);
          if (unknown) return true;
        }
        return false;
      },
      Clock::now() + seconds(3), milliseconds(10));
  if (!closed || !unknown) return active->LeaveOut("no ZooKeeper server ends its session");
  // Until its owner has noticed: what follows is of this round.
  WaitUntil([&] { return LastSessionIn(log) != session; }, Clock::now() + seconds(2),
            milliseconds(10));
  active->done += fmt::format(" session {:#x} of {} was ended", session, *leader);
  return absl::OkStatus();
}

// F2. A standby is started with a fault point, and is made to lead: the next submission (or the
// next deployment) is its end.
absl::Status ChaosInjector::DieInSubmission(uint64_t lot, ActiveFault* active) {
  const auto leader = cluster_->Leader();
  if (!leader.ok()) return active->LeaveOut("nobody leads");
  auto standbys = Others(*leader);
  std::erase_if(standbys, [this](const std::string& name) { return !cluster_->Alive(name); });
  if (standbys.empty()) return active->LeaveOut("no standby lives");
  const std::string& victim = standbys[lot % standbys.size()];
  const std::string step = kSteps[lot / standbys.size() % kSteps.size()];
  RestartOptions options;
  options.env = {{"BATON_FAULT_POINT", step}};
  if (auto status = cluster_->Restart(victim, options); !status.ok()) return status;
  active->armed = victim;
  active->armed_life = cluster_->state().Find(victim)->process;
  active->done += fmt::format(" {} is to die at {}", victim, step);
  if (!AwaitReady(victim, kReady)) return active->LeaveOut("it does not get ready");
  if (!MakeLead(victim)) return active->LeaveOut("it does not come to lead");
  const auto end = cluster_->WaitForExit(victim, kSubmission);
  if (!end.ok()) return active->LeaveOut("it does not come there");
  active->done += ", leads, and ends with " + *end;
  // Another fault was faster.
  if (*end != fmt::format("exit {}", kFaultPointExitCode))
    return active->LeaveOut("that is no such end");
  return absl::OkStatus();
}

// It may live, and even lead, without having come to where it was to die.
absl::Status ChaosInjector::Disarm(const ActiveFault& fault) {
  const ProcessId life = cluster_->state().Find(fault.armed)->process;
  if (life != fault.armed_life && IsAlive(life)) return absl::OkStatus();
  return cluster_->Restart(fault.armed);
}

// F25. The leader's disk or a standby's: it is always the same replica that has a disk to fill, so
// it is first made to be what it is to be.
absl::Status ChaosInjector::FillDisk(const PlannedFault& fault, ActiveFault* active) {
  const std::string& replica = disk_.replica;
  if (disk_full_) return active->LeaveOut("it is full");
  if (!cluster_->Alive(replica)) return active->LeaveOut(replica + " is dead");
  const auto leads = [&] { return Answers200(cluster_->RestUrl(replica), "/leader"); };
  if (fault.kind == ChaosKind::kLeaderDiskFull) {
    if (!MakeLead(replica)) return active->LeaveOut(replica + " does not come to lead");
  } else if (leads()) {
    (void)TransferLeadership(cluster_->RestUrl(replica));
    if (!WaitUntil([&] { return cluster_->Leader().value_or(replica) != replica; },
                   Clock::now() + kSubmission)) {
      return active->LeaveOut(replica + " goes on leading");
    }
  }
  const uint64_t left = fault.lot % 2 == 0 ? 0 : kLittleRoomBytes;
  active->filled = true;
  disk_full_ = true;
  active->done += fmt::format(" {}'s disk has {} MiB left", replica, left >> 20);
  return disk_.disk->Fill(left);
}

// Whoever was started while it was full cannot open its store: he has ended before this returns, so
// that HealAll finds him dead, or he serves.
absl::Status ChaosInjector::FreeDisk() {
  disk_full_ = false;
  if (auto status = disk_.disk->Free(); !status.ok()) return status;
  const std::string url = cluster_->RestUrl(disk_.replica);
  WaitUntil([&] { return !cluster_->Alive(disk_.replica) || Answers200(url, "/health"); },
            Clock::now() + seconds(3));
  return absl::OkStatus();
}

}  // namespace baton
