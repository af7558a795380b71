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
  constexpr Race kRaces[] = {&Races::AnswersComeLate,       &Races::PausedLeaderAnswers,
                             &Races::LeaderAndWorkerApart,  &Races::GuardianReplaced,
                             &Races::GuardianLostUnderLoad, &Races::ClocksApart,
                             &Races::RegistrationOvertaken, &Races::NewcomerLeads,
                             &Races::ElectionAnswersLost,   &Races::LedAgain,
                             &Races::OneStandbyIsDeaf,      &Races::DeposedWhileItDecides,
                             &Races::DamagedCopiesAreRead,  &Races::CollectionAmongSubmissions};
  const Race race = kRaces[random.Next() % std::size(kRaces)];
  const auto cast = Choose();
  if (!cast) return std::nullopt;
  return (this->*race)(*cast, random);
}

std::optional<size_t> Races::ChooseOther(size_t worker) const {
  std::optional<size_t> other;
  size_t most = 0;
  for (size_t i = 0; i < cluster_.workers(); ++i) {
    const size_t running = cluster_.recorder().RunningOn(cluster_.WorkerName(i));
    if (i == worker || !cluster_.WorkerServes(i) || running <= most) continue;
    most = running;
    other = i;
  }
  return other;
}

void Races::SubmitAfter(Duration delay, size_t replica, const SimulatedJob& job) {
  After(delay, [this, job, replica] { client_.SubmitOnce(job, replica); });
}

void Races::StartIfDead(size_t replica) {
  if (!cluster_.IsAlive(replica)) cluster_.StartReplica(replica);
}

void Races::After(Duration delay, std::function<void()> step) {
  cluster_.client_executor()->PostAfter(delay, [this, step = std::move(step), run = run_] {
    if (run == run_) step();
  });
}

// Heartbeats are answered for a second more, but the answers arrive when they are old; then nothing
// comes through. A lease ends by the time of the request.
std::optional<Fault> Races::AnswersComeLate(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const Duration late = milliseconds(2000) + random.Below(milliseconds(2800));
  cluster_.recorder().BeginHarm(w);
  cluster_.network().CutOneWay(l, w);
  After(seconds(1), [this, l = l, w = w] { cluster_.network().CutOneWay(w, l); });
  After(late, [this, worker = worker, l = l, w = w] {
    cluster_.network().HealOneWay(l, w);
    cluster_.CutWorker(worker);
  });
  return Fault{fmt::format("the answers of {} come late to {}, then none", l, w), late + kUntilLost,
               [this, worker = worker, w = w] {
                 cluster_.HealWorker(worker);
                 cluster_.recorder().EndHarm(w);
               }};
}

// Way 2 renews a lease while the leader is paused; it resumes when the TaskManager has vanished.
std::optional<Fault> Races::PausedLeaderAnswers(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const Duration paused = seconds(6) + random.Below(seconds(3));
  cluster_.recorder().BeginHarm(w);
  cluster_.DisconnectFromCoordination(leader, Cut::kReset);
  After(paused, [this, l = l, w = w] { cluster_.network().Reset(l, w); });
  After(paused + milliseconds(5), [this, worker = worker] { cluster_.CutWorker(worker); });
  After(paused + milliseconds(25), [this, leader = leader] {
    if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
  });
  return Fault{fmt::format("{} is paused, then {} is cut off", l, w), paused + kUntilLost,
               [this, leader = leader, worker = worker, w = w] {
                 if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
                 cluster_.HealWorker(worker);
                 cluster_.recorder().EndHarm(w);
               }};
}

// On one side a leader and a TaskManager, on the other the service and everybody else.
std::optional<Fault> Races::LeaderAndWorkerApart(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  // So that there is always more to be given to it.
  client_.SubmitOnce(SimulatedJob::Single(random, seconds(1 + random.Next() % 3),
                                          static_cast<uint32_t>(4 * cluster_.slots())),
                     leader);
  cluster_.Advance(milliseconds(200));
  cluster_.recorder().BeginHarm(w);
  cluster_.recorder().BeginSilence();
  for (size_t i = 0; i < cluster_.replicas(); ++i) {
    if (i == leader) continue;
    cluster_.network().Cut(l, cluster_.ReplicaName(i));
    cluster_.network().Cut(w, cluster_.ReplicaName(i));
  }
  for (size_t i = 0; i < cluster_.workers(); ++i) {
    if (i == worker) continue;
    cluster_.network().Cut(l, cluster_.WorkerName(i));
    // What ends there may be counted as lost before its report comes through.
    cluster_.recorder().BeginHarm(cluster_.WorkerName(i));
  }
  cluster_.DisconnectFromCoordination(leader, random.Next() % 2 == 0 ? Cut::kSilent : Cut::kReset);
  return Fault{fmt::format("{} and {} are apart from all others", l, w),
               seconds(12) + kUntilLost + random.Below(seconds(5)),
               [this, leader = leader, worker = worker, l = l, w = w] {
                 for (size_t i = 0; i < cluster_.replicas(); ++i) {
                   cluster_.network().Heal(l, cluster_.ReplicaName(i));
                 }
                 for (size_t i = 0; i < cluster_.workers(); ++i) {
                   cluster_.network().Heal(l, cluster_.WorkerName(i));
                   if (i != worker) cluster_.recorder().EndHarm(cluster_.WorkerName(i));
                 }
                 cluster_.HealWorker(worker);
                 if (cluster_.IsAlive(leader)) cluster_.ReconnectToCoordination(leader);
                 cluster_.recorder().EndSilence();
                 cluster_.recorder().EndHarm(w);
               }};
}

// The next leader finds a TaskManager that says nothing, and another guardian at its port than the
// roster may name.
std::optional<Fault> Races::GuardianReplaced(const Cast& cast, Random& random) {
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
  return Fault{fmt::format("{} has a new guardian, is stopped, and {} dies", w, l),
               runs + seconds(8), [this, stopped, leader = leader, worker = worker, w = w] {
                 if (*stopped) cluster_.ResumeWorker(worker);
                 StartIfDead(leader);
                 cluster_.recorder().EndHarm(w);
               }};
}

// Deployments cross the registration that follows each death.
std::optional<Fault> Races::GuardianLostUnderLoad(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  cluster_.recorder().BeginHarm(w);
  Duration at{};
  for (int i = 0; i < 8; ++i) {
    at += random.Below(milliseconds(400));
    After(at, [this, worker = worker] {
      if (cluster_.WorkerIsAlive(worker)) cluster_.LoseGuardian(worker);
    });
  }
  return Fault{fmt::format("{} loses one guardian after the other", w), at + milliseconds(1),
               [this, w = w] { cluster_.recorder().EndHarm(w); }};
}

// A lease lasts longest where the clock is slow, and is waited for least where it is fast. The
// margin of leaders is more than what the two may differ by.
std::optional<Fault> Races::ClocksApart(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  const Duration cut = seconds(1) + random.Below(seconds(2));
  cluster_.recorder().BeginHarm(w);
  const auto set = [this, worker = worker](double replicas, double of_worker) {
    cluster_.ClockOfWorker(worker).SetRate(of_worker, cluster_.Now());
    for (size_t i = 0; i < cluster_.replicas(); ++i) {
      cluster_.ClockOfReplica(i).SetRate(replicas, cluster_.Now());
    }
  };
  set(1.01, 0.99);
  After(cut, [this, worker = worker] { cluster_.CutWorker(worker); });
  return Fault{fmt::format("the clock of {} is slow, those of dispatchers are fast, and it is cut "
                           "off",
                           w),
               cut + kUntilLost + seconds(1), [this, set, worker = worker, w = w] {
                 set(1, 1);
                 cluster_.HealWorker(worker);
                 cluster_.recorder().EndHarm(w);
               }};
}

// Of the two connections that a TaskManager has to the leader, by two of its names, one breaks and
// the other is stuck, with the registration that follows. It is given up; the next one, over the
// first connection made anew, is answered with tasks; then the stuck one arrives.
std::optional<Fault> Races::RegistrationOvertaken(const Cast& cast, Random& random) {
  const auto& [leader, busiest, l, b] = cast;
  // One with room.
  const size_t worker = cluster_.recorder().RunningOn(b) * cluster_.workers() < cluster_.slots()
                            ? busiest
                            : ChooseOther(busiest).value_or(busiest);
  const std::string w = cluster_.WorkerName(worker);
  const auto addresses = cluster_.network().AddressesBetween(w, l);
  if (addresses.size() < 2) return std::nullopt;
  const Duration given_up = milliseconds(5300);
  const Duration arrives = given_up + milliseconds(200) + random.Below(seconds(1));
  cluster_.recorder().BeginHarm(w);
  cluster_.network().Stick(w, addresses.back());
  cluster_.network().ResetOne(w, addresses.front());
  for (int i = 0; i < 4; ++i) {
    SubmitAfter(
        given_up + milliseconds(50) * i, leader,
        SimulatedJob::Single(random, seconds(5), static_cast<uint32_t>(cluster_.workers())));
  }
  return Fault{fmt::format("a registration of {} is stuck on its way to {}", w, l), arrives,
               [this, w = w, address = addresses.back()] {
                 cluster_.network().Unstick(w, address);
                 cluster_.recorder().EndHarm(w);
               }};
}

}  // namespace baton
