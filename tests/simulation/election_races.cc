// Races about who leads, and who believes that he does.

#include <utility>

#include "fmt/format.h"
#include "tests/simulation/races.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Cut = EmbeddedCoordinationServer::Cut;
using LostAnswer = EmbeddedCoordinationServer::LostAnswer;

constexpr Duration kUntilLost = SimulatedCluster::kLease + seconds(4);

}  // namespace

// A replica comes back at another address while a TaskManager hears nothing, and is soon the only
// one: whether it may lead depends on whether the TaskManager asks it.
std::optional<Fault> Races::NewcomerLeads(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const size_t newcomer = (leader + 1) % cluster_.replicas();
  const Duration cut = milliseconds(2500) + random.Below(seconds(3));
  cluster_.recorder().BeginHarm(w);
  cluster_.recorder().BeginSilence();
  cluster_.CutWorker(worker);
  cluster_.KillReplica(newcomer);
  cluster_.MoveReplica(newcomer);
  cluster_.StartReplica(newcomer);
  After(cut, [this, worker = worker, newcomer] {
    for (size_t i = 0; i < cluster_.replicas(); ++i) {
      if (i != newcomer) cluster_.KillReplica(i);
    }
    cluster_.HealWorker(worker);
  });
  return Fault{fmt::format("{} comes back at another address, unknown to {}, and is left alone",
                           cluster_.ReplicaName(newcomer), w),
               cut + kUntilLost, [this, worker = worker, w = w] {
                 cluster_.HealWorker(worker);
                 for (size_t i = 0; i < cluster_.replicas(); ++i) StartIfDead(i);
                 cluster_.recorder().EndSilence();
                 cluster_.recorder().EndHarm(w);
               }};
}

std::optional<Fault> Races::ElectionAnswersLost(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  for (size_t i = 0; i < cluster_.replicas(); ++i) {
    if (i == leader || !cluster_.IsAlive(i) || random.Next() % 2 == 0) continue;
    const bool applied = random.Next() % 2 == 0;
    cluster_.DropNextAnswer(i, applied ? LostAnswer::kApplied : LostAnswer::kNotApplied);
  }
  cluster_.KillReplica(leader);
  return Fault{fmt::format("{} dies, and answers of the election are lost", l),
               random.Below(seconds(5)), [this, leader = leader] { StartIfDead(leader); }};
}

// The leader's session ends when nobody else sees the coordination service: it leads again at once.
std::optional<Fault> Races::LedAgain(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  for (size_t i = 0; i < cluster_.replicas(); ++i) {
    if (i != leader && cluster_.IsAlive(i)) cluster_.DisconnectFromCoordination(i, Cut::kReset);
  }
  After(milliseconds(50), [this, leader = leader] {
    if (cluster_.IsAlive(leader)) cluster_.ExpireSession(leader);
  });
  return Fault{fmt::format("{} loses its session and leads again", l),
               seconds(3) + random.Below(seconds(5)), [this] {
                 for (size_t i = 0; i < cluster_.replicas(); ++i) {
                   if (cluster_.IsAlive(i)) cluster_.ReconnectToCoordination(i);
                 }
               }};
}

// One of those who do not lead hears nothing of the leader, whom all others hear.
std::optional<Fault> Races::OneStandbyIsDeaf(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const std::string deaf = cluster_.ReplicaName(
      (leader + 1 + random.Next() % (cluster_.replicas() - 1)) % cluster_.replicas());
  cluster_.network().CutOneWay(l, deaf);
  return Fault{fmt::format("{} alone does not hear {}", deaf, l),
               seconds(3) + random.Below(seconds(5)),
               [this, l = l, deaf] { cluster_.network().HealOneWay(l, deaf); }};
}

// A leader has waited for the lease of a TaskManager that it does not hear, and is deposed, without
// knowing, just before the wait ends: the next leader has answered that TaskManager in between. A
// second one hears only the old leader, which would give it what the first one runs.
std::optional<Fault> Races::DeposedWhileItDecides(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const auto other = ChooseOther(worker);
  if (!other) return std::nullopt;
  const std::string o = cluster_.WorkerName(*other);
  const Duration deposed =
      SimulatedCluster::kLease - milliseconds(1600) + random.Below(milliseconds(500));
  cluster_.recorder().BeginHarm(w);
  cluster_.recorder().BeginHarm(o);
  cluster_.network().Cut(l, w);
  After(deposed - milliseconds(300), [this, leader = leader, o] {
    for (size_t i = 0; i < cluster_.replicas(); ++i) {
      if (i != leader) cluster_.network().Cut(cluster_.ReplicaName(i), o);
    }
  });
  After(deposed, [this, leader = leader] {
    if (!cluster_.IsAlive(leader)) return;
    cluster_.DisconnectFromCoordination(leader, Cut::kSilent);
    cluster_.ExpireSession(leader);
  });
  return Fault{fmt::format("{} is deposed, without knowing, when it is about to count {} as lost, "
                           "and {} hears only it",
                           l, w, o),
               kUntilLost + random.Below(seconds(3)),
               [this, leader = leader, other = *other, l = l, w = w, o] {
                 cluster_.network().Heal(l, w);
                 cluster_.HealWorker(other);
                 if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
                 cluster_.recorder().EndHarm(w);
                 cluster_.recorder().EndHarm(o);
               }};
}

}  // namespace baton
