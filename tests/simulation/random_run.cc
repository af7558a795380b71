#include "tests/simulation/random_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "fmt/format.h"
#include "tests/simulation/fault_menu.h"
#include "tests/simulation/races.h"
#include "tests/simulation/simulated_client.h"
#include "tests/simulation/simulated_cluster.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using LostAnswer = EmbeddedCoordinationServer::LostAnswer;

constexpr Duration kToAgree = seconds(5);      // L1
constexpr Duration kToCancel = seconds(10);    // I7
constexpr Duration kToAnswer = seconds(60);    // P8, with nothing in the way any more
constexpr Duration kToEnd = minutes(30);       // L2, the queue of everything included
constexpr Duration kGrace = seconds(20);       // of the collection
constexpr Duration kCollection = seconds(10);  // its interval
constexpr size_t kElectionsBesides = 4;        // L4: the first, and those of the end

enum class Kind {
  kMixed,  // every fault, one on top of the other
  kRaces,  // a race needs half a minute and tasks that run for longer, undisturbed by other faults
  kRelay,  // hundreds of leaders, each for a moment
};

Kind DrawKind(Random& random) {
  constexpr Kind kKinds[] = {Kind::kRaces, Kind::kMixed, Kind::kRelay, Kind::kRelay};
  return kKinds[random.Next() % std::size(kKinds)];
}

SimulatedCluster::Shape DrawShape(Kind kind, Random& random) {
  SimulatedCluster::Shape shape;
  shape.replicas = random.Next() % 4 == 0 ? 5 : 3;
  shape.workers = random.Next() % 16 == 0 ? 20 : 1 + random.Next() % 4;
  shape.slots = static_cast<uint32_t>(2 + random.Next() % 7);
  shape.two_names = kind == Kind::kRaces;
  shape.collection = {.interval = kCollection, .grace = kGrace};
  return shape;
}

class RandomRun {
 public:
  explicit RandomRun(const RandomRunOptions& options)
      : options_(options),
        draws_(NewSeededRandom(options.seed * 0x9E3779B97F4A7C15u + 1)),
        kind_(DrawKind(*draws_)),
        cluster_(options.seed, DrawShape(kind_, *draws_),
                 [this](const std::string& invariant, const std::string& what) {
                   OnViolation(invariant, what);
                 }),
        client_(std::make_shared<SimulatedClient>(&cluster_)),
        menu_(&cluster_, client_.get(),
              kind_ == Kind::kRelay ? FaultMenu::Pace::kRelay : FaultMenu::Pace::kMixed),
        races_(&cluster_, client_.get()) {
    if (options_.trace) {
      cluster_.Trace([this](const std::string& line) { Trace(line); });
    }
  }

  RandomRunReport Run() {
    cluster_.recorder().Set(Recorder::Restarts::kExcused);
    cluster_.ExplainErrors("job is in quarantine");
    cluster_.AwaitReady();
    const size_t steps = DrawSteps();
    // As many numbers as there are steps, drawn at once: leaving out a fault moves no other one.
    std::vector<uint64_t> seeds;
    for (size_t i = 0; i < steps; ++i) seeds.push_back(draws_->Next());
    for (step_ = 0; step_ < steps && !IsBroken(); ++step_) Step(*NewSeededRandom(seeds[step_]));
    if (!IsBroken()) End();
    report_.failovers = cluster_.recorder().epoch() - 1;
    report_.task_starts = cluster_.recorder().total_starts();
    report_.seconds = cluster_.Seconds();
    return std::move(report_);
  }

 private:
  bool IsBroken() const { return !report_.violations.empty(); }

  void OnViolation(const std::string& invariant, const std::string& what) {
    Trace("VIOLATION " + invariant + ": " + what);
    report_.violations.push_back({invariant, what, cluster_.Seconds(), step_});
  }
  void Trace(const std::string& line) const {
    if (options_.trace) options_.trace(cluster_.Seconds(), line);
  }

  // Runs, heals what is to be healed meanwhile, and stops at a violation.
  void Pass(Duration span) {
    const TimePoint end = cluster_.Now() + span;
    while (!IsBroken()) {
      const TimePoint next = heals_.empty() ? end : std::min(end, heals_.begin()->first);
      cluster_.RunUntil([this] { return IsBroken(); }, next - cluster_.Now());
      if (IsBroken() || heals_.empty() || heals_.begin()->first > end) return;
      HealFirst();
    }
  }
  bool Await(const std::function<bool()>& condition, Duration limit) {
    return cluster_.RunUntil([&] { return IsBroken() || condition(); }, limit);
  }

  void HealFirst() {
    auto heal = heals_.extract(heals_.begin());
    Trace("over: " + heal.mapped().what);
    heal.mapped().heals();
  }

  void Step(Random& random) {
    Load(random);
    report_.faults.emplace_back();
    const std::shared_ptr<Random> fault_random = NewSeededRandom(random.Next());
    if (!options_.without.contains(step_)) {
      const bool race =
          kind_ == Kind::kRaces || (kind_ == Kind::kMixed && fault_random->Next() % 16 == 0);
      if (kind_ == Kind::kRaces) Pass(seconds(1));  // what was submitted runs
      if (IsBroken()) return;
      if (auto fault = race ? races_.Do(*fault_random) : menu_.Do(*fault_random)) {
        Trace(fmt::format("FAULT {}: {}", step_, fault->what));
        report_.faults.back() = fault->what;
        elections_ += fault->elections;
        if (fault->heals) heals_.emplace(cluster_.Now() + fault->lasts, std::move(*fault));
      }
    }
    cluster_.recorder().tree().CheckCopies();
    const Duration pause = DrawPause(random);
    // Half of the races end before the next begins.
    if (kind_ == Kind::kRaces && !heals_.empty() && random.Next() % 2 == 0) {
      Pass(heals_.rbegin()->first - cluster_.Now() + seconds(1));
    } else {
      Pass(pause);
    }
  }

  size_t DrawSteps() {
    switch (kind_) {
      case Kind::kMixed:
        return 10 + draws_->Next() % 40;
      case Kind::kRaces:
        return 4 + draws_->Next() % 8;
      case Kind::kRelay:
        return 150 + draws_->Next() % 450;
    }
    return 0;
  }

  // Often the next fault comes while this one's consequences are under way.
  Duration DrawPause(Random& random) const {
    constexpr Duration kPauses[] = {milliseconds(2), milliseconds(50), milliseconds(500),
                                    seconds(3), seconds(8)};
    const Duration most = kPauses[random.Next() % std::size(kPauses)];
    switch (kind_) {
      case Kind::kMixed:
        return random.Below(most);
      case Kind::kRaces:
        return random.Below(seconds(30));
      case Kind::kRelay:
        return random.Below(milliseconds(60));
    }
    return {};
  }

  void Load(Random& random) {
    if (kind_ == Kind::kRelay && random.Next() % 8 != 0) return;  // so that it is quick
    if (kind_ == Kind::kRaces) SubmitLong(random);
    for (uint64_t i = random.Next() % 3; i > 0; --i) Submit(random);
    if (jobs_.empty()) return;
    const SimulatedJob& job = jobs_[random.Next() % jobs_.size()];
    const size_t replica = static_cast<size_t>(random.Next() % cluster_.replicas());
    const uint64_t what = random.Next() % 16;
    if (what < 2) client_->Cancel(job.id, replica);
    if (what == 2 || what == 3) client_->Submit(job, replica);  // again
    if (what == 4) client_->SubmitOnce(SimulatedJob::Single(random, seconds(1)), replica);
    if (what == 5) client_->Post(SimulatedJob::Single(random, seconds(1)), replica);
  }

  // Something that outlasts a lease; room is left for more.
  void SubmitLong(Random& random) {
    const size_t most = cluster_.slots() * (1 + random.Next() % 3) / 4;
    const size_t running = cluster_.recorder().running();
    if (running >= most) return;
    jobs_.push_back(SimulatedJob::Single(random, seconds(30) + random.Below(seconds(30)),
                                         static_cast<uint32_t>(most - running)));
    ++report_.jobs;
    client_->Submit(jobs_.back(), static_cast<size_t>(random.Next() % cluster_.replicas()));
  }

  void Submit(Random& random) {
    SimulatedJob job;
    constexpr Duration kMost[] = {seconds(2), seconds(2), seconds(2),  seconds(2),
                                  seconds(2), seconds(2), seconds(20), seconds(60)};
    const Duration runs_for = random.Below(kMost[random.Next() % std::size(kMost)]);
    if (random.Next() % 3 == 0) {
      job = SimulatedJob::Diamond(random, runs_for / 4);
    } else {
      job = SimulatedJob::Single(random, runs_for, static_cast<uint32_t>(1 + random.Next() % 4));
    }
    job.restart_attempts = 3;
    if (random.Next() % 5 == 0) job.vertices[0].failures = static_cast<uint32_t>(random.Next() % 3);
    jobs_.push_back(job);
    ++report_.jobs;
    client_->Submit(job, static_cast<size_t>(random.Next() % cluster_.replicas()));
  }

  // The last fault is over: nobody does anything by hand (L3).
  void End() {
    races_.Stop();
    while (!heals_.empty()) HealFirst();
    const TimePoint healed = cluster_.Now();
    if (!Await([this] { return cluster_.IsAgreed(); }, kToAgree)) {
      cluster_.Violated("L1", "not everybody agrees on one leader");
    }
    Pass(std::max(Duration::zero(), healed + kToCancel - cluster_.Now()));
    if (const size_t running = cluster_.recorder().RunningCancelled(); running > 0) {
      cluster_.Violated("I7", fmt::format("{} processes of cancelled jobs run", running));
    }
    EndJobs();
    if (!IsBroken()) CheckSlots();
    if (!IsBroken() && options_.seed % 4 == 0 && !menu_.clocks_were_set()) CheckGarbage();
    if (cluster_.recorder().epoch() > elections_) {
      cluster_.Violated("L4", fmt::format("{} elections, where the faults explain {}",
                                          cluster_.recorder().epoch(), elections_));
    }
  }

  void EndJobs() {
    const SimulatedJob last = SimulatedJob::Single(*draws_, seconds(1), 2);
    client_->Submit(last, static_cast<size_t>(draws_->Next() % cluster_.replicas()));
    if (!Await([&] { return cluster_.recorder().acknowledged().contains(last.id); }, kToAnswer)) {
      cluster_.Violated("P8", "the last job is not acknowledged");
    }
    SubmitIntoSilence(*draws_);
    if (!Await([this] { return client_->waiting() == 0; }, kToAnswer)) {
      cluster_.Violated("P8", fmt::format("{} requests wait for an answer", client_->waiting()));
    }
    menu_.TakeBackOrders();
    if (!Await([this] { return cluster_.recorder().AllEnded(); }, kToEnd)) {
      cluster_.Violated("L2", cluster_.recorder().DescribeUnfinished());
    }
    if (cluster_.recorder().OutcomeOf(last.id) != "FINISHED") {
      cluster_.Violated("L2", "the last job ends as " + cluster_.recorder().OutcomeOf(last.id));
    }
    // Also what nobody waits for any more.
    const TreeJudge& tree = cluster_.recorder().tree();
    if (!Await([&] { return tree.pointers().empty(); }, kToEnd)) {
      cluster_.Violated(
          "L2", fmt::format("{} jobs are on record and do not end", tree.pointers().size()));
    }
  }

  // The client is told nothing, or that it failed, and does not ask again: what is on record runs
  // all the same, also when the leader does not change any more.
  void SubmitIntoSilence(Random& random) {
    const SimulatedJob job = SimulatedJob::Single(random, seconds(1));
    const bool applied = random.Next() % 2 == 0;
    const size_t leader = cluster_.Leader();
    if (IsBroken() || leader == SimulatedCluster::kNobody) return;
    cluster_.DropNextAnswer(leader, applied ? LostAnswer::kApplied : LostAnswer::kNotApplied,
                            SimulatedCluster::Paths().jobs() + "/");
    client_->SubmitOnce(job, leader);
  }

  void CheckSlots() {
    std::string body;
    for (int i = 0; i < 60 && !IsBroken(); ++i) {
      Pass(milliseconds(500));
      const size_t leader = cluster_.Leader();
      if (leader == SimulatedCluster::kNobody) continue;
      const auto answer = client_->Ask(leader, "GET", "/v1/overview");
      body = answer ? answer->body : "";
      if (body.find(fmt::format("\"slots-total\":{}", cluster_.slots())) != std::string::npos &&
          body.find(fmt::format("\"slots-available\":{}", cluster_.slots())) != std::string::npos) {
        return;
      }
    }
    cluster_.Violated("I10", "slots are missing: " + body);
  }

  void CheckGarbage() {
    if (Await([this] { return cluster_.CountGraphs() == 0; }, 2 * (kGrace + kCollection))) return;
    cluster_.Violated(
        "I8", fmt::format("{} graphs of ended jobs are still on disks", cluster_.CountGraphs()));
  }

  const RandomRunOptions& options_;
  const RandomPtr draws_;
  const Kind kind_;
  RandomRunReport report_;
  size_t step_ = 0;
  size_t elections_ = kElectionsBesides;  // that faults explain
  SimulatedCluster cluster_;
  const std::shared_ptr<SimulatedClient> client_;
  FaultMenu menu_;
  Races races_;
  std::vector<SimulatedJob> jobs_;
  std::multimap<TimePoint, Fault> heals_;
};

bool Breaks(const RandomRunReport& report, const std::string& invariant) {
  return std::ranges::any_of(report.violations,
                             [&](const Violation& v) { return v.invariant == invariant; });
}

}  // namespace

RandomRunReport RunAtRandom(const RandomRunOptions& options) { return RandomRun(options).Run(); }

RandomRunOptions Shrink(RandomRunOptions options, const RandomRunReport& report) {
  if (report.violations.empty()) return options;
  options.trace = nullptr;
  const std::string invariant = report.violations.front().invariant;
  // From the end: what came last is most often what matters.
  for (size_t step = report.faults.size(); step-- > 0;) {
    if (report.faults[step].empty() || !options.without.insert(step).second) continue;
    if (!Breaks(RunAtRandom(options), invariant)) options.without.erase(step);
  }
  return options;
}

}  // namespace baton
