#include "cli/chaos/chaos.h"

#include <algorithm>
#include <filesystem>
#include <future>

#include "base/status.h"
#include "cli/chaos/chaos_jobs.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Below the tasks' shared directory.
constexpr char kTrace[] = "chaos-tasks";
// Its store stands on a disk that can be filled.
constexpr char kReplicaWithDisk[] = "replica-3";
constexpr seconds kServing(60);  // for processes to start on a busy machine
constexpr seconds kAgreement(30);
constexpr seconds kNewJob(60);
// Until every worker that lives has its lease prolonged: those seconds in which a leader must be
// agreed on.
constexpr seconds kRenewed(5);
constexpr seconds kElected(2);  // what an election of several commits takes at most
constexpr size_t kLongJobs = 3;

double MillisSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

Chaos::Chaos(ChaosOptions options, Progress progress)
    : options_(std::move(options)), progress_(std::move(progress)), kinds_(options_.kinds) {}

Chaos::~Chaos() {
  if (load_ != nullptr) load_->Stop();
  if (job_watch_ != nullptr) job_watch_->Stop();  // it asks the load which jobs there are
  if (watch_ != nullptr) watch_->Stop();
  if (witness_ != nullptr) witness_->Stop();
  if (cluster_ != nullptr) (void)cluster_->Down();
  if (disk_ == nullptr) return;
  if (auto status = disk_->Remove(); !status.ok()) progress_(Message(status));
}

absl::Status Chaos::Run(ChaosReport* report) {
  report->options = options_;
  if (auto status = Start(); !status.ok()) return status;
  absl::Status status = RunRounds(report);
  // An error that ended it early is no reason not to judge what was.
  if (!status.ok()) (void)injector_->HealAll();
  const absl::Status finished = Finish();
  report->complete = status.ok() && finished.ok();
  Fill(report);
  if (!finished.ok()) report->verdicts.clear();
  for (const absl::Status& next : {finished, KeepHistory()}) {
    if (status.ok()) status = next;
  }
  return status;
}

absl::Status Chaos::MakeDisk() {
  const auto needs_it = [](ChaosKind kind) {
    return kind == ChaosKind::kLeaderDiskFull || kind == ChaosKind::kStandbyDiskFull;
  };
  if (std::none_of(kinds_.begin(), kinds_.end(), needs_it)) return absl::OkStatus();
  const std::string store = options_.directory + "/" + kReplicaWithDisk + "/store";
  std::error_code error;
  std::filesystem::create_directories(store, error);
  if (error) return Internal("{}: {}", store, error.message());
  auto disk = SmallDisk::Make(store);
  if (disk.ok()) {
    disk_ = *std::move(disk);
    return absl::OkStatus();
  }
  std::erase_if(kinds_, needs_it);
  if (kinds_.empty() || !absl::IsFailedPrecondition(disk.status())) return disk.status();
  progress_("chaos: no disk is filled: " + Message(disk.status()));
  return absl::OkStatus();
}

absl::Status Chaos::Start() {
  if (auto status = MakeDisk(); !status.ok()) return status;
  ClusterOptions cluster;
  cluster.directory = options_.directory;
  cluster.task_managers = options_.workers;
  cluster.slots = options_.slots;
  cluster.zookeepers = 3;
  cluster.session_timeout = options_.session;
  cluster.hosts = true;
  cluster.lifetime = Lifetime::kWithThisProcess;
  cluster.config = {{"high-availability.zookeeper.client.session-timeout",
                     fmt::format("{} ms", options_.session.count())},
                    {"taskmanager.lease", fmt::format("{} ms", options_.lease.count())},
                    // The history of the whole run stays: it is what is judged.
                    {"jobstore.max-capacity", "1000000"},
                    // A disk that was lost is whole again before the next one is.
                    {"store.convergence-interval", "5 s"}};
  auto up = LocalCluster::Up(cluster);
  if (!up.ok()) return up.status();
  cluster_ = *std::move(up);
  injector_ = std::make_unique<ChaosInjector>(
      cluster_.get(), ChaosInjector::Disk{disk_.get(), disk_ == nullptr ? "" : kReplicaWithDisk});
  witness_ = std::make_unique<TaskWitness>(cluster_->SharedDirectory() + "/" + kTrace);
  ChaosLoad::Options load;
  load.balancer = cluster_->balancer_url();
  for (const std::string& name : injector_->Names(NodeKind::kReplica)) {
    load.replicas[name] = cluster_->RestUrl(name);
  }
  load.trace = kTrace;
  load.jobs_per_second = options_.jobs_per_second;
  load.seed = options_.seed;
  watch_ = std::make_unique<LeaderWatch>(load.replicas);
  load_ = std::make_unique<ChaosLoad>(load);
  job_watch_ = std::make_unique<JobWatch>(
      load.replicas, [jobs = load_.get()](uint64_t lot) { return jobs->SomeJob(lot); });
  history_.slots_expected = int64_t{options_.workers} * options_.slots;
  RotateLongJob();
  return load_->Start();
}

absl::Status Chaos::RunRounds(ChaosReport* report) {
  ChaosPlan plan(options_.seed, {options_.session, options_.lease}, kinds_);
  const auto end = Clock::now() + options_.duration;
  RestUntil(Clock::now() + seconds(2));
  for (int number = 1; Clock::now() < end; ++number) {
    const PlannedRound planned = plan.Next();
    const uint64_t epoch = watch_->NewestEpoch();
    ChaosRound round;
    round.number = number;
    progress_(fmt::format("round {}: {}", number, planned.Describe()));
    const absl::Status status = RunRound(planned, &round);
    for (const std::string& kind : round.kinds) ++report->fault_counts[kind];
    for (const std::string& kind : round.left_out) --report->fault_counts[kind];
    history_.rounds.push_back(round);
    Describe(round);
    if (!status.ok()) return At(fmt::format("round {}", number), status);
    RestUntil(Clock::now() + planned.rest);
    RotateLongJob();
    // Until the next one begins: what falls in a quiet pause falls for this one, or for nothing.
    history_.rounds.back().epochs = watch_->NewestEpoch() - epoch;
  }
  return absl::OkStatus();
}

absl::Status Chaos::RunRound(const PlannedRound& plan, ChaosRound* round) {
  round->from_ns = WallNs();
  const size_t harms = history_.harms.size();
  if (auto status = DoFaults(plan, round); !status.ok()) return status;
  if (auto status = AwaitServing(round); !status.ok()) return status;
  const bool harmed = history_.harms.size() > harms;
  // What a worker lost by a fault it may still lose while it comes back. Not as long as a lease:
  // one that ends later was prolonged after the healing.
  for (size_t i = harms; i < history_.harms.size(); ++i) {
    history_.harms[i].until_ns =
        round->healed_ns +
        std::chrono::nanoseconds(std::min<milliseconds>(options_.lease, kRenewed)).count();
  }
  JudgeRound(harmed, round);
  round->until_ns = WallNs();
  round->gap_ms = load_->LongestGapMs(round->from_ns, round->until_ns);
  return absl::OkStatus();
}

absl::Status Chaos::DoFaults(const PlannedRound& plan, ChaosRound* round) {
  const auto start = Clock::now();
  struct Ending {
    Clock::time_point at;
    size_t fault;
    Clock::time_point begun;
  };
  std::vector<Ending> endings;
  std::vector<ActiveFault> active;
  const auto end_until = [&](Clock::time_point until) -> absl::Status {
    std::stable_sort(endings.begin(), endings.end(),
                     [](const Ending& a, const Ending& b) { return a.at < b.at; });
    while (!endings.empty() && endings.front().at <= until) {
      RestUntil(endings.front().at);
      ActiveFault& ending = active[endings.front().fault];
      ending.lasted = Clock::now() - endings.front().begun;
      if (auto status = injector_->End(ending); !status.ok()) return status;
      endings.erase(endings.begin());
    }
    return absl::OkStatus();
  };
  for (const PlannedFault& fault : plan.faults) {
    if (auto status = end_until(start + fault.after); !status.ok()) return status;
    RestUntil(start + fault.after);
    const auto begun = Clock::now();
    auto done = injector_->Begin(fault);
    if (!done.ok()) return done.status();
    progress_("  " + done->done);
    round->kinds.push_back(TraitOf(fault.kind).name);
    round->faults.push_back(done->done);
    if (done->left_out) round->left_out.push_back(TraitOf(fault.kind).name);
    active.push_back(*std::move(done));
    endings.push_back({begun + fault.lasts, active.size() - 1, begun});
  }
  if (auto status = end_until(Clock::time_point::max()); !status.ok()) return status;
  Harm(plan, active, *round);
  return injector_->HealAll();
}

// Whom this round may have cost tasks. A lease ends where nobody proves that it may go on: a
// replica that neither leads nor answers, while nobody can be elected or another one is silent too.
// A silence that lasts as long as a lease needs no more than a fault that delays the election: one
// ZooKeeper server after the other restarted, say, each of whose elections gives the silent
// leader's session its whole time again.
void Chaos::Harm(const PlannedRound& plan, const std::vector<ActiveFault>& faults,
                 const ChaosRound& round) {
  std::set<std::string> workers;
  size_t silent = 0;
  size_t no_quorum = 0;
  size_t outlasting = 0;
  size_t delaying = 0;
  for (size_t i = 0; i < faults.size(); ++i) {
    const ChaosTrait& trait = TraitOf(plan.faults[i].kind);
    const bool outlasts = trait.silences && faults[i].lasted >= options_.lease - kElected;
    outlasting += outlasts ? 1 : 0;
    delaying += !outlasts && trait.epochs > 0 ? 1 : 0;
    silent += trait.silences ? 1 : 0;
    no_quorum += trait.no_quorum ? 1 : 0;
  }
  for (const ActiveFault& fault : faults) workers.insert(fault.harmed.begin(), fault.harmed.end());
  if (silent > 1 || (silent > 0 && no_quorum > 0) || (outlasting > 0 && delaying > 0)) {
    const auto all = injector_->Names(NodeKind::kTaskManager);
    workers.insert(all.begin(), all.end());
  }
  for (const std::string& worker : workers) {
    history_.harms.push_back({worker, round.from_ns, WallNs()});
  }
}

absl::Status Chaos::AwaitServing(ChaosRound* round) {
  absl::Status status;
  WaitUntil([&] { return (status = injector_->CheckServing()).ok(); }, Clock::now() + kServing,
            milliseconds(20));
  round->healed_ns = WallNs();
  return At("processes that were started do not serve", status);
}

bool Chaos::Agree() {
  size_t leading = 0;
  std::set<std::pair<uint64_t, std::string>> views;
  for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kReplica)) {
    auto client = ProbeClient(node->Url());
    if (!client.ok()) return false;
    const auto answer = (*client)->Get("/leader");
    if (!answer.ok()) return false;
    leading += answer->status == 200 ? 1 : 0;
    const auto view = (*client)->Leader();
    if (!view.ok() || view->value.replica.empty()) return false;
    views.emplace(view->value.epoch, view->value.replica);
  }
  return leading == 1 && views.size() == 1;
}

bool Chaos::Progressed(const std::map<std::string, size_t>& short_jobs) const {
  for (const std::string& job : long_jobs_) {
    if (witness_->Living(job) != kChaosLongTasks) return false;
  }
  return std::all_of(short_jobs.begin(), short_jobs.end(), [this](const auto& job) {
    return witness_->Finished(job.first) >= job.second;
  });
}

void Chaos::JudgeRound(bool harmed, ChaosRound* round) {
  const auto healed =
      Clock::now() - std::chrono::nanoseconds(std::max<int64_t>(0, WallNs() - round->healed_ns));
  // Tasks of a worker that was lost wait for its lease: for those nobody has promised more.
  round->progress_limit_ms =
      5'000 + (harmed ? static_cast<double>(options_.lease.count()) + 2'000 : 0);
  if (WaitUntil([this] { return Agree(); }, healed + kAgreement, milliseconds(20))) {
    round->agreed_ms = MillisSince(healed);
  }
  const auto short_jobs = load_->ShortJobs(round->from_ns, round->healed_ns);
  // Aside: an acknowledgement that is late says nothing of the jobs that there are.
  auto submitted = std::async(std::launch::async, [this] {
    bool acknowledged = false;
    return load_->SubmitNow(JobKind::kShort, Clock::now() + kNewJob, &acknowledged);
  });
  std::string fresh;
  bool progressed = false;
  bool ended = false;
  WaitUntil(
      [&] {
        if (fresh.empty() && submitted.wait_for(milliseconds(0)) == std::future_status::ready) {
          fresh = submitted.get();
        }
        if (!ended && !fresh.empty() && witness_->Finished(fresh) == 1) {
          ended = true;
          round->new_job_ms = MillisSince(healed);
        }
        if (!progressed && Progressed(short_jobs)) {
          progressed = true;
          round->progress_ms = MillisSince(healed);
        }
        return ended && progressed;
      },
      Clock::now() + options_.lease + kAgreement, milliseconds(20));
}

// Long tasks live through a few rounds, so that no task loses its worker so often that its job
// is given up.
void Chaos::RotateLongJob() {
  bool acknowledged = false;
  long_jobs_.push_back(load_->SubmitNow(JobKind::kLong, Clock::now() + kNewJob, &acknowledged));
  const std::string newest = long_jobs_.back();
  WaitUntil([&] { return witness_->Living(newest) == kChaosLongTasks; }, Clock::now() + kAgreement,
            milliseconds(20));
  if (long_jobs_.size() <= kLongJobs) return;
  load_->CancelNow(long_jobs_.front(), Clock::now() + kNewJob);
  long_jobs_.erase(long_jobs_.begin());
}

void Chaos::Describe(const ChaosRound& round) const {
  progress_(fmt::format(
      "  agreed after {:.0f} ms, new job ended after {:.0f} ms, all progressed after {:.0f} ms; "
      "longest gap {:.0f} ms",
      round.agreed_ms, round.new_job_ms, round.progress_ms, round.gap_ms));
}

}  // namespace baton
