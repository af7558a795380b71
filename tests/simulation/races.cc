#include "tests/simulation/races.h"

#include <iterator>
#include <utility>

#include "fmt/format.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Cut = EmbeddedCoordinationServer::Cut;
using LostAnswer = EmbeddedCoordinationServer::LostAnswer;

// From the loss of a TaskManager to its tasks' next attempts: the lease, the margin, and a little.
constexpr Duration kUntilLost = SimulatedCluster::kLease + seconds(4);

}  // namespace

std::optional<Races::Cast> Races::Choose() const {
  Cast cast;
  cast.leader = cluster_.Leader();
  if (cast.leader == SimulatedCluster::kNobody) return std::nullopt;
  size_t most = 0;
  for (size_t i = 0; i < cluster_.workers(); ++i) {
    const size_t running = cluster_.recorder().RunningOn(cluster_.WorkerName(i));
    if (!cluster_.WorkerServes(i) || running <= most) continue;
    most = running;
    cast.worker = i;
  }
  if (most == 0) return std::nullopt;
  cast.leader_name = cluster_.ReplicaName(cast.leader);
  cast.worker_name = cluster_.WorkerName(cast.worker);
  return cast;
}

std::optional<Fault> Races::Do(Random& random) {
  constexpr Race kRaces[] = {&Races::AnswersComeLate,      &Races::PausedLeaderAnswers,
                             &Races::LeaderAndWorkerApart, &Races::GuardianReplaced,
                             &Races::NewcomerLeads,        &Races::GuardianLostUnderLoad,
                             &Races::ElectionAnswersLost};
  const Race race = kRaces[random.Next() % std::size(kRaces)];
  const auto cast = Choose();
  if (!cast) return std::nullopt;
  return (this->*race)(*cast, random);
}

void Races::After(Duration delay, std::function<void()> step) {
  cluster_.client_executor()->PostAfter(delay, [this, step = std::move(step), run = run_] {
    if (run == run_) step();
  });
}

// Heartbeats are answered for a second more, but the answers arrive when they are old; then nothing
// comes through. A lease ends by the time of the request.
Fault Races::AnswersComeLate(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const Duration late = milliseconds(2000) + random.Below(milliseconds(2800));
  cluster_.recorder().BeginHarm(w);
  cluster_.network().CutOneWay(l, w);
  After(seconds(1), [this, l = l, w = w] { cluster_.network().CutOneWay(w, l); });
  After(late, [this, worker = worker, l = l, w = w] {
    cluster_.network().HealOneWay(l, w);
    cluster_.CutWorker(worker);
  });
  return {fmt::format("the answers of {} come late to {}, then none", l, w), late + kUntilLost,
          [this, worker = worker, w = w] {
            cluster_.HealWorker(worker);
            cluster_.recorder().EndHarm(w);
          }};
}

// Way 2 renews a lease while the leader is paused; it resumes when the TaskManager has vanished.
Fault Races::PausedLeaderAnswers(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const Duration paused = seconds(6) + random.Below(seconds(3));
  cluster_.recorder().BeginHarm(w);
  cluster_.DisconnectFromCoordination(leader, Cut::kReset);
  After(paused, [this, l = l, w = w] { cluster_.network().Reset(l, w); });
  After(paused + milliseconds(5), [this, worker = worker] { cluster_.CutWorker(worker); });
  After(paused + milliseconds(25), [this, leader = leader] {
    if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
  });
  return {fmt::format("{} is paused, then {} is cut off", l, w), paused + kUntilLost,
          [this, leader = leader, worker = worker, w = w] {
            if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
            cluster_.HealWorker(worker);
            cluster_.recorder().EndHarm(w);
          }};
}

// On one side a leader and a TaskManager, on the other the service and everybody else.
Fault Races::LeaderAndWorkerApart(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  cluster_.recorder().BeginHarm(w);
  cluster_.recorder().BeginSilence();
  for (size_t i = 0; i < cluster_.replicas(); ++i) {
    if (i == leader) continue;
    cluster_.network().Cut(l, cluster_.ReplicaName(i));
    cluster_.network().Cut(w, cluster_.ReplicaName(i));
  }
  for (size_t i = 0; i < cluster_.workers(); ++i) {
    if (i != worker) cluster_.network().Cut(l, cluster_.WorkerName(i));
  }
  cluster_.DisconnectFromCoordination(leader, random.Next() % 2 == 0 ? Cut::kSilent : Cut::kReset);
  return {fmt::format("{} and {} are apart from all others", l, w),
          seconds(12) + kUntilLost + random.Below(seconds(5)),
          [this, leader = leader, worker = worker, l = l, w = w] {
            for (size_t i = 0; i < cluster_.replicas(); ++i) {
              cluster_.network().Heal(l, cluster_.ReplicaName(i));
            }
            for (size_t i = 0; i < cluster_.workers(); ++i) {
              cluster_.network().Heal(l, cluster_.WorkerName(i));
            }
            cluster_.HealWorker(worker);
            if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
            cluster_.recorder().EndSilence();
            cluster_.recorder().EndHarm(w);
          }};
}

// The next leader finds a TaskManager that says nothing, and another guardian at its port than the
// roster may name.
Fault Races::GuardianReplaced(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const Duration runs = seconds(1) + random.Below(seconds(2));
  cluster_.LoseGuardian(worker);
  cluster_.recorder().BeginHarm(w);
  auto stopped = std::make_shared<bool>(false);
  After(runs, [this, stopped, worker = worker, leader = leader] {
    if (!cluster_.WorkerIsAlive(worker)) return;
    *stopped = true;
    cluster_.PauseWorker(worker);
    cluster_.KillReplica(leader);
  });
  return {fmt::format("{} has a new guardian, is stopped, and {} dies", w, l), runs + seconds(8),
          [this, stopped, leader = leader, worker = worker, w = w] {
            if (*stopped) cluster_.ResumeWorker(worker);
            if (!cluster_.IsAlive(leader)) cluster_.StartReplica(leader);
            cluster_.recorder().EndHarm(w);
          }};
}

// A replica comes back at another address while a TaskManager hears nothing, and is soon the only
// one: whether it may lead depends on whether the TaskManager asks it.
Fault Races::NewcomerLeads(const Cast& cast, Random& random) {
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
  return {fmt::format("{} comes back at another address, unknown to {}, and is left alone",
                      cluster_.ReplicaName(newcomer), w),
          cut + kUntilLost, [this, worker = worker, w = w] {
            cluster_.HealWorker(worker);
            for (size_t i = 0; i < cluster_.replicas(); ++i) {
              if (!cluster_.IsAlive(i)) cluster_.StartReplica(i);
            }
            cluster_.recorder().EndSilence();
            cluster_.recorder().EndHarm(w);
          }};
}

// Deployments cross the registration that follows each death.
Fault Races::GuardianLostUnderLoad(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  cluster_.recorder().BeginHarm(w);
  Duration at{};
  for (int i = 0; i < 8; ++i) {
    at += random.Below(milliseconds(400));
    After(at, [this, worker = worker] {
      if (cluster_.WorkerIsAlive(worker)) cluster_.LoseGuardian(worker);
    });
  }
  return {fmt::format("{} loses one guardian after the other", w), at + milliseconds(1),
          [this, w = w] { cluster_.recorder().EndHarm(w); }};
}

Fault Races::ElectionAnswersLost(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  for (size_t i = 0; i < cluster_.replicas(); ++i) {
    if (i == leader || !cluster_.IsAlive(i) || random.Next() % 2 == 0) continue;
    const bool applied = random.Next() % 2 == 0;
    cluster_.DropNextAnswer(i, applied ? LostAnswer::kApplied : LostAnswer::kNotApplied);
  }
  cluster_.KillReplica(leader);
  return {fmt::format("{} dies, and answers of the election are lost", l), random.Below(seconds(5)),
          [this, leader = leader] {
            if (!cluster_.IsAlive(leader)) cluster_.StartReplica(leader);
          }};
}

}  // namespace baton
