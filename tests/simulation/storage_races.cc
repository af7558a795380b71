// Races about what stands on the replicas' disks.

#include <utility>
#include <vector>

#include "fmt/format.h"
#include "tests/simulation/races.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

// The next leader finds bits flipped in most copies of the graphs that it recovers. One copy of
// each is left whole, and not on the disk of who dies.
std::optional<Fault> Races::DamagedCopiesAreRead(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  size_t graphs = 0;
  for (const auto& [job, pointer] : cluster_.recorder().tree().pointers()) {
    const std::string& digest = pointer.graph_digest();
    std::vector<size_t> holders;
    for (size_t i = 0; i < cluster_.replicas(); ++i) {
      if (cluster_.DiskOf(i).HasUndamaged("job-graph", digest)) holders.push_back(i);
    }
    std::erase(holders, leader);
    if (holders.size() < 2) continue;
    holders.erase(holders.begin() + static_cast<int64_t>(random.Next() % holders.size()));
    for (const size_t i : holders) {
      cluster_.DiskOf(i).FlipBit("job-graph", digest, random.Next());
    }
    ++graphs;
  }
  if (graphs == 0) return std::nullopt;
  cluster_.KillReplica(leader);
  return Fault{fmt::format("bits flip in copies of {} graphs, and {} dies", graphs, l),
               random.Below(seconds(5)), [this, leader = leader] { StartIfDead(leader); }};
}

// Graphs wait on the leader's disk alone for a second copy, for as long as collections are apart:
// one of those sees them, and would take them before their pointers are committed. Then one more
// disk comes back: two copies, if the first is there.
std::optional<Fault> Races::CollectionAmongSubmissions(const Cast& cast, Random& random) {
  const auto& [leader, worker, l, w] = cast;
  constexpr Duration kEvery = milliseconds(250);
  const Duration alone = seconds(3) + random.Below(seconds(10));
  for (size_t i = 0; i < cluster_.replicas(); ++i) {
    if (i != leader) cluster_.KillReplica(i);
  }
  for (Duration at{}; at < alone; at += kEvery) {
    SimulatedJob job = SimulatedJob::Single(random, milliseconds(20));
    job.name = "job-" + job.id.ToString();  // so that each has a graph of its own
    SubmitAfter(at, leader, job);
  }
  After(alone, [this, first = (leader + 1) % cluster_.replicas()] { StartIfDead(first); });
  return Fault{fmt::format("all but {} are dead while jobs are submitted to it", l),
               alone + seconds(2), [this] {
                 for (size_t i = 0; i < cluster_.replicas(); ++i) StartIfDead(i);
               }};
}

}  // namespace baton
