#include "tests/simulation/fault_menu.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fmt/format.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Cut = EmbeddedCoordinationServer::Cut;
using LostAnswer = EmbeddedCoordinationServer::LostAnswer;

bool Toss(Random& random) { return random.Next() % 2 == 0; }

constexpr std::array kFaultPoints = {"submission.before-store", "submission.stored-locally",
                                     "submission.replicated",   "submission.pointer-committed",
                                     "submission.answered",     "deployment.sent",
                                     "recovery.jobs-listed",    "leader.pinged"};

constexpr size_t kNone = 0;  // elections

}  // namespace

std::vector<FaultMenu::Entry> FaultMenu::WholeMenu() {
  return {
      {14, &FaultMenu::KillReplica},        // F1 F5 F6 F8 F9
      {1, &FaultMenu::KillAll},             // F7
      {2, &FaultMenu::LoseReplicaHost},     // F3
      {6, &FaultMenu::DieAtFaultPoint},     // F2
      {6, &FaultMenu::PauseReplica},        // F3 F31
      {2, &FaultMenu::HangLeader},          // F3
      {4, &FaultMenu::TransferLeadership},  // F4
      {2, &FaultMenu::RetireReplica},
      {4, &FaultMenu::ExpireSession},            // F11
      {4, &FaultMenu::LoseSight},                // F18
      {3, &FaultMenu::StopCoordination},         // F13 F14
      {6, &FaultMenu::DropAnswer},               // F15
      {4, &FaultMenu::CutReplicas},              // F21 F22
      {2, &FaultMenu::SplitReplicas},            // F22
      {5, &FaultMenu::CutWorkerFromOne, kNone},  // F19 F22
      {3, &FaultMenu::CutWorkerFromAll, kNone},  // F10 F19
      {2, &FaultMenu::CutClient, kNone},         // F20
      {4, &FaultMenu::ResetLink},                // F23
      {2, &FaultMenu::SlowNetwork},              // F23
      {2, &FaultMenu::DoubleRequests, kNone},    // F23 F33
      {4, &FaultMenu::KillWorker, kNone},        // F10
      {2, &FaultMenu::LoseWorkerHost, kNone},    // F10
      {3, &FaultMenu::LoseGuardian, kNone},      // F10
      {2, &FaultMenu::PauseWorker, kNone},       // F10
      {2, &FaultMenu::DrainWorker, kNone},
      {2, &FaultMenu::WipeDisk},          // F28 F29
      {2, &FaultMenu::FillDisk, kNone},   // F25
      {1, &FaultMenu::BreakDisk, kNone},  // F25
      {2, &FaultMenu::FlipBit, kNone},    // F27
      {2, &FaultMenu::SetClock, kNone},   // F30
  };
}

// What costs a leader its place at once.
std::vector<FaultMenu::Entry> FaultMenu::RelayMenu() {
  return {
      {16, &FaultMenu::KillReplica},
      {4, &FaultMenu::DieAtFaultPoint},
      {4, &FaultMenu::ExpireSession},
      {4, &FaultMenu::TransferLeadership},
      {2, &FaultMenu::DropAnswer},
      {1, &FaultMenu::ResetLink},
      {1, &FaultMenu::CutWorkerFromOne, kNone},
      {1, &FaultMenu::DoubleRequests, kNone},
  };
}

// Most faults are over soon, some last longer than sessions and leases do.
Duration FaultMenu::DrawSpan(Random& random, Duration most) const {
  constexpr std::array<Duration, 5> kMost = {milliseconds(20), milliseconds(300), seconds(3),
                                             seconds(15), seconds(40)};
  const size_t choices = pace_ == Pace::kRelay ? 2 : kMost.size();
  return random.Below(std::min(most, kMost[random.Next() % choices])) + milliseconds(1);
}

FaultMenu::FaultMenu(SimulatedCluster* cluster, SimulatedClient* client, Pace pace)
    : cluster_(*cluster),
      client_(*client),
      pace_(pace),
      menu_(pace == Pace::kRelay ? RelayMenu() : WholeMenu()) {
  for (const Entry& entry : menu_) total_weight_ += entry.weight;
}

std::optional<Fault> FaultMenu::Do(Random& random) {
  uint64_t drawn = random.Next() % total_weight_;
  for (const Entry& entry : menu_) {
    if (drawn < entry.weight) {
      auto fault = (this->*entry.doing)(random);
      if (fault) fault->elections = entry.elections;
      return fault;
    }
    drawn -= entry.weight;
  }
  return std::nullopt;
}

size_t FaultMenu::DrawReplica(Random& random) const {
  return static_cast<size_t>(random.Next() % cluster_.replicas());
}

size_t FaultMenu::DrawLeader(Random& random) const {
  const size_t any = DrawReplica(random);
  const size_t leader = cluster_.Leader();
  return leader == SimulatedCluster::kNobody || random.Next() % 4 == 0 ? any : leader;
}

size_t FaultMenu::DrawWorker(Random& random) const {
  return static_cast<size_t>(random.Next() % cluster_.workers());
}

// ---- dispatchers

Fault FaultMenu::Fatal(size_t replica, const char* how, Random& random) {
  // A supervisor starts it again, at once or later.
  return {fmt::format("{} {}", cluster_.ReplicaName(replica), how), DrawSpan(random, seconds(15)),
          [this, replica] {
            if (!cluster_.IsAlive(replica)) cluster_.StartReplica(replica);
          }};
}

std::optional<Fault> FaultMenu::KillReplica(Random& random) {
  const size_t replica = DrawLeader(random);
  if (!cluster_.IsAlive(replica)) return std::nullopt;
  cluster_.KillReplica(replica);
  return Fatal(replica, "is killed", random);
}

std::optional<Fault> FaultMenu::KillAll(Random& random) {
  for (size_t i = 0; i < cluster_.replicas(); ++i) cluster_.KillReplica(i);
  return Fault{"every dispatcher is killed", DrawSpan(random, seconds(30)), [this] {
                 for (size_t i = 0; i < cluster_.replicas(); ++i) {
                   if (!cluster_.IsAlive(i)) cluster_.StartReplica(i);
                 }
               }};
}

std::optional<Fault> FaultMenu::LoseReplicaHost(Random& random) {
  const size_t replica = DrawLeader(random);
  if (!cluster_.IsAlive(replica)) return std::nullopt;
  cluster_.LoseReplicaHost(replica);
  cluster_.recorder().BeginSilence();
  Fault fault = Fatal(replica, "is lost with its host", random);
  fault.heals = [this, start = std::move(fault.heals)] {
    cluster_.recorder().EndSilence();
    start();
  };
  return fault;
}

std::optional<Fault> FaultMenu::DieAtFaultPoint(Random& random) {
  const char* point = kFaultPoints[random.Next() % kFaultPoints.size()];
  cluster_.DieAt(point);
  return Fault{fmt::format("whoever comes to {} next dies there", point),
               DrawSpan(random, seconds(15)), [this] {
                 cluster_.DieAt("");
                 for (size_t i = 0; i < cluster_.replicas(); ++i) {
                   if (!cluster_.IsAlive(i)) cluster_.StartReplica(i);
                 }
               }};
}

std::optional<Fault> FaultMenu::PauseReplica(Random& random) {
  const size_t replica = DrawLeader(random);
  if (!cluster_.IsAlive(replica)) return std::nullopt;
  cluster_.recorder().BeginSilence();
  cluster_.PauseReplica(replica);
  return Fault{cluster_.ReplicaName(replica) + " is stopped", DrawSpan(random), [this, replica] {
                 cluster_.recorder().EndSilence();
                 if (cluster_.IsAlive(replica)) cluster_.ResumeReplica(replica);
               }};
}

std::optional<Fault> FaultMenu::HangLeader(Random& random) {
  const size_t replica = cluster_.Leader();
  const Duration lasts = DrawSpan(random);
  if (replica == SimulatedCluster::kNobody) return std::nullopt;
  cluster_.recorder().BeginSilence();
  cluster_.HangLeader(replica);
  return Fault{cluster_.ReplicaName(replica) + " hangs where it leads", lasts, [this, replica] {
                 cluster_.recorder().EndSilence();
                 if (cluster_.IsAlive(replica)) cluster_.ResumeReplica(replica);
               }};
}

std::optional<Fault> FaultMenu::TransferLeadership(Random& random) {
  client_.Transfer(DrawReplica(random));
  return Fault{"the leader is asked to hand over", {}, nullptr};
}

std::optional<Fault> FaultMenu::RetireReplica(Random& random) {
  const std::string name = cluster_.ReplicaName(DrawReplica(random));
  retired_.insert(name);
  client_.Order("POST", "/v1/replicas/" + name + "/retire", 0);
  return Fault{name + " is retired", DrawSpan(random, seconds(15)),
               [this, name] { client_.Order("POST", "/v1/replicas/" + name + "/admit", 0); }};
}

void FaultMenu::TakeBackOrders() {
  for (const std::string& name : retired_) {
    client_.Order("POST", "/v1/replicas/" + name + "/admit", 0);
  }
  for (const std::string& worker : drained_) {
    cluster_.recorder().Harm(worker);
    client_.Order("DELETE", "/v1/taskmanagers/" + worker + "/drain", 0);
  }
}

// ---- the coordination service

std::optional<Fault> FaultMenu::ExpireSession(Random& random) {
  const size_t replica = DrawLeader(random);
  if (!cluster_.IsAlive(replica)) return std::nullopt;
  cluster_.ExpireSession(replica);
  return Fault{"the session of " + cluster_.ReplicaName(replica) + " expires", {}, nullptr};
}

std::optional<Fault> FaultMenu::LoseSight(Random& random) {
  const size_t replica = DrawLeader(random);
  const Cut cut = Toss(random) ? Cut::kReset : Cut::kSilent;
  if (!cluster_.IsAlive(replica)) return std::nullopt;
  cluster_.DisconnectFromCoordination(replica, cut);
  return Fault{
      fmt::format("{} loses sight of the coordination service, {}", cluster_.ReplicaName(replica),
                  cut == Cut::kReset ? "and knows" : "in silence"),
      DrawSpan(random), [this, replica] {
        if (cluster_.IsAlive(replica)) cluster_.ReconnectToCoordination(replica);
      }};
}

std::optional<Fault> FaultMenu::StopCoordination(Random& random) {
  if (coordination_is_away_) return std::nullopt;
  coordination_is_away_ = true;
  cluster_.PauseCoordination();
  return Fault{"the coordination service is away", DrawSpan(random), [this] {
                 coordination_is_away_ = false;
                 cluster_.ResumeCoordination();
               }};
}

std::optional<Fault> FaultMenu::DropAnswer(Random& random) {
  const size_t replica = DrawLeader(random);
  const LostAnswer lost = Toss(random) ? LostAnswer::kApplied : LostAnswer::kNotApplied;
  if (!cluster_.IsAlive(replica)) return std::nullopt;
  cluster_.DropNextAnswer(replica, lost);
  return Fault{
      fmt::format("the answer to the next change of {} is lost, {}", cluster_.ReplicaName(replica),
                  lost == LostAnswer::kApplied ? "which is made" : "with the change"),
      {},
      nullptr};
}

// ---- networks

std::optional<Fault> FaultMenu::CutReplicas(Random& random) {
  const std::string a = cluster_.ReplicaName(DrawLeader(random));
  const std::string b = cluster_.ReplicaName(DrawReplica(random));
  const bool one_way = Toss(random);
  const Duration lasts = DrawSpan(random);
  if (a == b) return std::nullopt;
  if (one_way) {
    cluster_.network().CutOneWay(a, b);
  } else {
    cluster_.network().Cut(a, b);
  }
  return Fault{fmt::format("nothing comes from {} to {}{}", a, b, one_way ? "" : ", nor back"),
               lasts, [this, a, b] { cluster_.network().Heal(a, b); }};
}

std::optional<Fault> FaultMenu::SplitReplicas(Random& random) {
  std::vector<std::pair<std::string, std::string>> cuts;
  const uint64_t half = random.Next();
  for (size_t a = 0; a < cluster_.replicas(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (((half >> a) & 1) == ((half >> b) & 1)) continue;
      cuts.emplace_back(cluster_.ReplicaName(a), cluster_.ReplicaName(b));
      cluster_.network().Cut(cuts.back().first, cuts.back().second);
    }
  }
  return Fault{"the dispatchers are in two halves", DrawSpan(random), [this, cuts] {
                 for (const auto& [a, b] : cuts) cluster_.network().Heal(a, b);
               }};
}

std::optional<Fault> FaultMenu::CutWorkerFromOne(Random& random) {
  const std::string worker = cluster_.WorkerName(DrawWorker(random));
  const std::string replica = cluster_.ReplicaName(DrawLeader(random));
  const uint64_t way = random.Next() % 3;
  cluster_.recorder().BeginHarm(worker);
  if (way != 0) cluster_.network().CutOneWay(worker, replica);
  if (way != 1) cluster_.network().CutOneWay(replica, worker);
  return Fault{fmt::format("nothing comes from {} to {}{}", way == 0 ? replica : worker,
                           way == 0 ? worker : replica, way == 2 ? ", nor back" : ""),
               DrawSpan(random), [this, worker, replica] {
                 cluster_.network().Heal(worker, replica);
                 cluster_.recorder().EndHarm(worker);
               }};
}

std::optional<Fault> FaultMenu::CutWorkerFromAll(Random& random) {
  const size_t worker = DrawWorker(random);
  cluster_.recorder().BeginHarm(cluster_.WorkerName(worker));
  cluster_.CutWorker(worker);
  return Fault{cluster_.WorkerName(worker) + " is cut off", DrawSpan(random), [this, worker] {
                 cluster_.HealWorker(worker);
                 cluster_.recorder().EndHarm(cluster_.WorkerName(worker));
               }};
}

std::optional<Fault> FaultMenu::CutClient(Random& random) {
  const std::string replica = cluster_.ReplicaName(DrawLeader(random));
  cluster_.network().Cut("client", replica);
  return Fault{"no client reaches " + replica, DrawSpan(random),
               [this, replica] { cluster_.network().Heal("client", replica); }};
}

std::optional<Fault> FaultMenu::ResetLink(Random& random) {
  const std::string replica = cluster_.ReplicaName(DrawLeader(random));
  const bool peer = Toss(random);
  const std::string other =
      peer ? cluster_.ReplicaName(DrawReplica(random)) : cluster_.WorkerName(DrawWorker(random));
  if (other == replica) return std::nullopt;
  cluster_.network().Reset(replica, other);
  return Fault{fmt::format("connections between {} and {} break", replica, other), {}, nullptr};
}

std::optional<Fault> FaultMenu::SlowNetwork(Random& random) {
  const Duration jitter = random.Below(milliseconds(400));
  cluster_.SetJitter(jitter);
  return Fault{fmt::format("frames and requests take up to {} ms longer", ToMillis(jitter)),
               DrawSpan(random, seconds(15)), [this] { cluster_.SetJitter({}); }};
}

std::optional<Fault> FaultMenu::DoubleRequests(Random& random) {
  cluster_.http().SetDuplicates(50);
  return Fault{"half of the requests arrive twice", DrawSpan(random, seconds(15)),
               [this] { cluster_.http().SetDuplicates(0); }};
}

// ---- workers

std::optional<Fault> FaultMenu::KillWorker(Random& random) {
  const size_t worker = DrawWorker(random);
  if (!cluster_.WorkerIsAlive(worker)) return std::nullopt;
  cluster_.KillWorker(worker);
  return Fault{cluster_.WorkerName(worker) + " is killed", DrawSpan(random, seconds(15)),
               [this, worker] {
                 if (!cluster_.WorkerIsAlive(worker)) cluster_.StartWorker(worker);
               }};
}

std::optional<Fault> FaultMenu::LoseWorkerHost(Random& random) {
  const size_t worker = DrawWorker(random);
  if (!cluster_.WorkerIsAlive(worker)) return std::nullopt;
  cluster_.LoseWorkerHost(worker);
  return Fault{cluster_.WorkerName(worker) + " is lost with its host", DrawSpan(random),
               [this, worker] {
                 if (!cluster_.WorkerIsAlive(worker)) cluster_.StartWorker(worker);
               }};
}

std::optional<Fault> FaultMenu::LoseGuardian(Random& random) {
  const size_t worker = DrawWorker(random);
  if (!cluster_.WorkerIsAlive(worker)) return std::nullopt;
  cluster_.LoseGuardian(worker);
  return Fault{"the guardian of " + cluster_.WorkerName(worker) + " dies", {}, nullptr};
}

std::optional<Fault> FaultMenu::PauseWorker(Random& random) {
  const size_t worker = DrawWorker(random);
  if (!cluster_.WorkerIsAlive(worker)) return std::nullopt;
  cluster_.PauseWorker(worker);
  return Fault{cluster_.WorkerName(worker) + " is stopped", DrawSpan(random),
               [this, worker] { cluster_.ResumeWorker(worker); }};
}

// The order may be repeated until it is answered, and then come after it was taken back: whatever
// runs there may be moved until the end.
std::optional<Fault> FaultMenu::DrainWorker(Random& random) {
  const std::string worker = cluster_.WorkerName(DrawWorker(random));
  cluster_.recorder().BeginHarm(worker);
  drained_.insert(worker);
  client_.Order("POST",
                fmt::format("/v1/taskmanagers/{}/drain?deadline={}ms", worker,
                            1 + ToMillis(random.Below(seconds(5)))),
                0);
  return Fault{worker + " is drained", DrawSpan(random), [this, worker] {
                 client_.Order("DELETE", "/v1/taskmanagers/" + worker + "/drain", 0);
               }};
}

// ---- disks and clocks

// One disk is lost at a time: the next when what was lost with the last has been made again.
std::optional<Fault> FaultMenu::WipeDisk(Random& random) {
  const size_t replica = DrawReplica(random);
  if (!cluster_.IsAlive(replica) || !cluster_.recorder().tree().MayLoseADisk()) {
    return std::nullopt;
  }
  cluster_.KillReplica(replica);
  cluster_.DiskOf(replica).Erase();
  return Fatal(replica, "dies, and its disk with it", random);
}

std::optional<Fault> FaultMenu::FillDisk(Random& random) {
  const size_t replica = DrawLeader(random);
  cluster_.DiskOf(replica).SetFull(true);
  return Fault{"the disk of " + cluster_.ReplicaName(replica) + " is full", DrawSpan(random),
               [this, replica] { cluster_.DiskOf(replica).SetFull(false); }};
}

std::optional<Fault> FaultMenu::BreakDisk(Random& random) {
  const size_t replica = DrawLeader(random);
  cluster_.ExplainErrors("store fails");
  cluster_.ExplainErrors("journal");
  cluster_.DiskOf(replica).SetBroken(true);
  return Fault{"the disk of " + cluster_.ReplicaName(replica) + " fails", DrawSpan(random),
               [this, replica] { cluster_.DiskOf(replica).SetBroken(false); }};
}

std::optional<Fault> FaultMenu::FlipBit(Random& random) {
  const size_t replica = DrawReplica(random);
  const uint64_t which = random.Next(), byte = random.Next();
  const TreeJudge& tree = cluster_.recorder().tree();
  if (tree.pointers().empty() || tree.FewestCopies() < 2) return std::nullopt;
  auto pointer = tree.pointers().begin();
  std::advance(pointer, static_cast<int64_t>(which % tree.pointers().size()));
  cluster_.DiskOf(replica).FlipBit("job-graph", pointer->second.graph_digest(), byte);
  return Fault{fmt::format("a bit of {}'s graph flips on the disk of {}", pointer->first.ToString(),
                           cluster_.ReplicaName(replica)),
               {},
               nullptr};
}

// A clock may run wrong by one percent; what it shows may be set to anything.
std::optional<Fault> FaultMenu::SetClock(Random& random) {
  const double rate = 0.99 + 0.001 * static_cast<double>(random.Next() % 21);
  const Duration offset = random.Below(std::chrono::hours(48)) - std::chrono::hours(24);
  const bool is_worker = Toss(random);
  const size_t worker = DrawWorker(random), replica = DrawReplica(random);
  ManualClock& clock =
      is_worker ? cluster_.ClockOfWorker(worker) : cluster_.ClockOfReplica(replica);
  clock.SetRate(rate, cluster_.Now());
  clock.SetWallOffset(offset);
  clocks_were_set_ = true;
  return Fault{fmt::format("the clock of {} goes {:.3f} times as fast, and is set by {} s",
                           is_worker ? cluster_.WorkerName(worker) : cluster_.ReplicaName(replica),
                           rate, ToMillis(offset) / 1000),
               {},
               nullptr};
}

}  // namespace baton
