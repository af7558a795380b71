#include "tests/simulation/simulated_cluster.h"

#include <algorithm>
#include <utility>

#include "base/fault_point.h"
#include "store/blob_store.h"

namespace baton {
namespace {

constexpr char kRoot[] = "/baton";
constexpr char kClusterId[] = "simulated";
constexpr Duration kMaxDelay = std::chrono::milliseconds(3);  // to the coordination service
// A dead guardian's tasks live on for so long at most: less than the grace that leaders give them.
constexpr Duration kDying = std::chrono::milliseconds(900);

}  // namespace

SimulatedCluster::SimulatedCluster(uint64_t seed, Shape shape, OnViolation on_violation)
    : scheduler_(seed),
      started_(scheduler_.Now()),
      shape_(shape),
      violated_(std::move(on_violation)),
      random_(NewSeededRandom(seed)),
      network_(std::make_shared<SimulatedNetwork>(seed)),
      http_(std::make_shared<SimulatedHttp>(network_, NewRandom())) {
  log::SetSink([this](log::Level level, const std::string& line) { OnLogLine(level, line); });
  SetFaultPointHandler([this](std::string_view name) { OnFaultPoint(name); });
  coordination_executor_ = NewExecutor("coordination");
  client_executor_ = NewExecutor("client");
  copies_ = std::make_shared<CopyLedger>(client_executor_);
  auto tree = std::make_shared<TreeJudge>(Paths(), copies_, violated_);
  tree->DemandCopies(SettingsOf({}).store.replication.min_copies);
  JudgeLeadership(tree);
  SetJitter(Duration::zero());
  coordination_ =
      std::make_shared<EmbeddedCoordinationServer>(coordination_executor_, tree, ZnodeTree());
  admin_ = NewEmbeddedClient(coordination_, client_executor_, kSession);
  admin_->Start([](SessionEvent) {});
  recorder_ = std::make_shared<Recorder>(client_executor_, tree, violated_);
  Advance(std::chrono::milliseconds(1));
  recorder_->Start();
  client_http_ = http_->ForProcess("client");
  for (size_t i = 0; i < shape_.replicas; ++i) {
    replicas_.push_back({"d" + std::to_string(i), std::make_shared<ManualClock>(),
                         std::make_shared<FakeDisk>(), nullptr});
    WatchGraphs(replicas_.back());
    StartReplica(i);
  }
  for (size_t i = 0; i < shape_.workers; ++i) {
    workers_.push_back({WorkerName(i), std::make_shared<ManualClock>(), nullptr});
    StartWorker(i);
  }
}

void SimulatedCluster::JudgeLeadership(const std::shared_ptr<TreeJudge>& tree) {
  leadership_judge_ =
      std::make_unique<LeadershipJudge>(client_executor_, network_, tree, violated_);
  tree->ListenToElections([this](const pb::LeaderRecord& winner, const std::string& previous) {
    leadership_judge_->OnElected(winner, previous);
  });
  network_->KeepTime(client_executor_);
  network_->Overhear(
      [this](const std::string& from, const std::string& to, const std::string& frame) {
        leadership_judge_->OnFrame(from, to, frame);
      });
}

SimulatedCluster::~SimulatedCluster() {
  SetFaultPointHandler(nullptr);
  network_->Overhear(nullptr);
  for (size_t i = 0; i < workers_.size(); ++i) KillWorker(i);
  for (size_t i = 0; i < replicas_.size(); ++i) KillReplica(i);
  client_executor_->Kill();
  coordination_executor_->Kill();
  graveyard_.clear();
  log::SetSink(nullptr);
}

std::shared_ptr<ManualExecutor> SimulatedCluster::NewExecutor(const std::string& name) {
  return scheduler_.NewExecutor(name);
}

CoordinationPaths SimulatedCluster::Paths() { return {kRoot, kClusterId}; }

void SimulatedCluster::WatchGraphs(const ReplicaNode& node) {
  node.disk->Listen([this, name = node.name](FakeDisk::Change change, const std::string& family,
                                             const std::string& digest) {
    if (family != "job-graph") return;
    switch (change) {
      case FakeDisk::Change::kWritten:
        return copies_->OnWritten(name, digest);
      case FakeDisk::Change::kLost:
        return copies_->OnLost(name, digest);
      case FakeDisk::Change::kDeleted:
        copies_->OnDeleted(name, digest);
        return recorder_->tree().OnGraphDeleted(digest, name);
    }
  });
}

// A bug shows as an error line of the simulated processes too.
void SimulatedCluster::OnLogLine(log::Level level, const std::string& line) {
  if (on_trace_) on_trace_(line);
  if (level != log::Level::kError) return;
  constexpr std::string_view kQuarantined = "job is in quarantine job_id=";
  if (const size_t at = line.find(kQuarantined); at != std::string::npos) {
    const size_t from = at + kQuarantined.size();
    const auto job = JobId::Parse(line.substr(from, line.find(' ', from) - from));
    if (job.ok()) recorder_->OnQuarantined(*job);
  }
  const bool explained = std::ranges::any_of(
      explained_, [&](const std::string& text) { return line.find(text) != std::string::npos; });
  if (!explained) violated_("log", "an error that no fault explains: " + line);
}

// ---- time

double SimulatedCluster::Seconds() const {
  return std::chrono::duration<double>(scheduler_.Now() - started_).count();
}

// A process that dies at a fault point leaves by an exception: nothing of it runs after that point.
void SimulatedCluster::Advance(Duration span) {
  const TimePoint end = scheduler_.Now() + span;
  for (;;) {
    try {
      return scheduler_.AdvanceBy(end - scheduler_.Now());
    } catch (const ProcessDied&) {
      continue;  // the others go on
    }
  }
}

bool SimulatedCluster::RunUntil(const std::function<bool()>& condition, Duration limit) {
  const TimePoint end = scheduler_.Now() + limit;
  for (;;) {
    try {
      return scheduler_.RunUntil(condition, end - scheduler_.Now());
    } catch (const ProcessDied&) {
      continue;  // the others go on
    }
  }
}

// Asked after every step: what costs little comes first.
bool SimulatedCluster::IsReady() const {
  if (recorder_->tree().members() != replicas_.size()) return false;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (!WorkerServes(i)) return false;
  }
  const size_t leader = Leader();
  if (leader == kNobody) return false;
  const auto view = replicas_[leader].process->replica->View();
  return static_cast<size_t>(view.members.members_size()) == replicas_.size();
}

void SimulatedCluster::AwaitReady() {
  if (!RunUntil([this] { return IsReady(); })) violated_("L1", "the cluster does not come up");
}

void SimulatedCluster::ExpectAllEnd(Duration limit) {
  if (!RunUntil([this] { return recorder_->AllEnded(); }, limit)) {
    violated_("L2", recorder_->DescribeUnfinished());
  }
}

void SimulatedCluster::SetJitter(Duration more) {
  network_->SetLatency(std::chrono::microseconds(100), std::chrono::microseconds(400) + more);
  http_->SetJitter(more);
  leadership_judge_->OnJitter(more);
}

size_t SimulatedCluster::CountGraphs() const {
  size_t graphs = 0;
  for (const ReplicaNode& node : replicas_) graphs += node.disk->Count("job-graph");
  return graphs;
}

// ---- replicas

std::string SimulatedCluster::RestAddress(size_t replica) const {
  return replicas_[replica].name + ":8081";
}

ReplicaSettings SimulatedCluster::SettingsOf(const ReplicaNode& node) const {
  ReplicaSettings settings;
  settings.id = ReplicaId(node.name);
  settings.cluster_id = kClusterId;
  settings.zookeeper_root = kRoot;
  settings.rpc_bind_address = fmt::format("{}:{}", node.name, 6123 + node.moves);
  settings.version = "simulated";
  settings.store.replication.min_copies = shape_.replicas > 1 ? 2 : 1;
  settings.dispatcher.lease.lease = kLease;
  settings.dispatcher.collection = shape_.collection;
  return settings;
}

void SimulatedCluster::StartReplica(size_t replica) {
  ReplicaNode& node = replicas_[replica];
  auto process = std::make_shared<ReplicaProcess>();
  const auto executor = [&](const std::string& role) {
    process->executors.push_back(scheduler_.NewExecutor(node.name + "/" + role, node.clock));
    return process->executors.back();
  };
  Replica::Dependencies deps;
  deps.ha_executor = executor("ha");
  deps.store_executor = executor("store");
  deps.rest_executor = executor("rest");
  deps.new_executor = [this, weak = std::weak_ptr(process), name = node.name,
                       clock = node.clock]() -> ExecutorPtr {
    auto alive = weak.lock();
    alive->executors.push_back(scheduler_.NewExecutor(name + "/leader", clock));
    return alive->executors.back();
  };
  deps.coordination = process->client =
      NewEmbeddedClient(coordination_, deps.ha_executor, kSession);
  coordination_->SetDelay(process->client, std::chrono::microseconds(200) + Draw(kMaxDelay),
                          std::chrono::microseconds(200) + Draw(kMaxDelay));
  deps.frames = network_->NewProcess(node.name);
  deps.http = http_->ForProcess(node.name);
  deps.engine = process->engine =
      std::make_shared<FakeKvEngine>(node.disk, executor("disk"), StoreFamilies());
  deps.random = NewRandom();
  const ExecutorPtr ha = deps.ha_executor, rest = deps.rest_executor;
  process->replica = Replica::New(std::move(deps), SettingsOf(node));
  http_->Serve(RestAddress(replica), node.name, rest, &process->replica->rest());
  ha->Post([this, replica = process->replica, address = RestAddress(replica)] {
    const absl::Status status = replica->Start(address);
    if (!status.ok()) violated_("L1", "a replica does not start: " + status.ToString());
  });
  if (shape_.two_names) network_->AddName(NameOf(node), node.name + ":6123");
  leadership_judge_->OnStarted(node.name);
  node.process = std::move(process);
}

void SimulatedCluster::KillReplica(size_t replica) {
  if (!replicas_[replica].process) return;
  network_->Kill(replicas_[replica].name);
  BuryReplica(replicas_[replica]);
}

void SimulatedCluster::LoseReplicaHost(size_t replica) {
  network_->LoseHost(replicas_[replica].name);
  BuryReplica(replicas_[replica]);
}

void SimulatedCluster::BuryReplica(ReplicaNode& node) {
  const auto process = std::exchange(node.process, nullptr);
  graveyard_.push_back(process);
  leadership_judge_->OnStopped(node.name);
  http_->Kill(node.name);
  for (const auto& executor : std::vector(process->executors)) executor->Kill();
}

void SimulatedCluster::PauseReplica(size_t replica) {
  leadership_judge_->OnStopped(ReplicaName(replica));
  for (const auto& executor : replicas_[replica].process->executors) executor->Pause();
}

void SimulatedCluster::ResumeReplica(size_t replica) {
  leadership_judge_->OnResumed(ReplicaName(replica));
  for (const auto& executor : replicas_[replica].process->executors) executor->Resume();
}

void SimulatedCluster::HangLeader(size_t replica) {
  leadership_judge_->OnStopped(ReplicaName(replica));
  for (const auto& executor : replicas_[replica].process->executors) {
    if (executor->name().ends_with("/leader")) executor->Pause();
  }
}

void SimulatedCluster::ExpireSession(size_t replica) {
  coordination_->Expire(replicas_[replica].process->client);
}

void SimulatedCluster::DisconnectFromCoordination(size_t replica,
                                                  EmbeddedCoordinationServer::Cut cut) {
  // Who reached a fault point while a race went on is dead by now, and has no connection.
  if (!IsAlive(replica)) return;
  coordination_->Disconnect(replicas_[replica].process->client, cut);
}

void SimulatedCluster::DropNextAnswer(size_t replica, EmbeddedCoordinationServer::LostAnswer lost,
                                      const std::string& folder) {
  coordination_->DropNextAnswer(replicas_[replica].process->client, lost, folder);
}

void SimulatedCluster::ReconnectToCoordination(size_t replica) {
  coordination_->Reconnect(replicas_[replica].process->client);
}

size_t SimulatedCluster::Leader() const {
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i].process || replicas_[i].name != recorder_->tree().leader()) continue;
    const LeadershipView view = replicas_[i].process->replica->View();
    if (view.self_leads && view.last_winner.epoch() == recorder_->epoch()) return i;
  }
  return kNobody;
}

bool SimulatedCluster::IsAgreed() const {
  size_t leaders = 0;
  for (const ReplicaNode& node : replicas_) {
    if (!node.process) return false;
    const LeadershipView view = node.process->replica->View();
    if (!view.leader || view.leader->epoch() != recorder_->epoch()) return false;
    leaders += view.self_leads ? 1 : 0;
  }
  return leaders == 1;
}

size_t SimulatedCluster::AwaitLeader() {
  if (!RunUntil([this] { return Leader() != kNobody; })) violated_("L1", "nobody leads");
  return Leader();
}

void SimulatedCluster::DieAt(const std::string& fault_point) {
  fault_point_ = fault_point;
  died_at_fault_point_ = false;
}

void SimulatedCluster::OnFaultPoint(std::string_view name) {
  if (name != fault_point_) return;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i].process) continue;
    for (const auto& executor : replicas_[i].process->executors) {
      if (!executor->RunsInThisThread()) continue;
      fault_point_.clear();
      died_at_fault_point_ = true;
      KillReplica(i);
      throw ProcessDied();
    }
  }
}

// ---- TaskManagers

std::string SimulatedCluster::NameOf(const ReplicaNode& replica) const {
  return replica.name + (shape_.two_names ? ".lan:6123" : ":6123");
}

TaskExecutorOptions SimulatedCluster::WorkerOptions(const std::string& name) const {
  TaskExecutorOptions options;
  options.cluster_id = kClusterId;
  options.id = TaskManagerId(name);
  for (const ReplicaNode& replica : replicas_) {
    options.dispatchers.push_back(NameOf(replica));
  }
  options.slots = shape_.slots;
  options.host = name;
  options.lease = kLease;
  return options;
}

void SimulatedCluster::StartWorker(size_t worker) {
  WorkerNode& node = workers_[worker];
  if (node.earlier) node.earlier->launcher->Kill();  // a TaskManager ends what it finds there
  auto process = std::make_shared<WorkerProcess>();
  const auto executor = scheduler_.NewExecutor(node.name, node.clock);
  process->executors = {executor, scheduler_.NewExecutor(node.name + "/guardian", node.clock)};
  process->launcher = std::make_shared<FakeProcessLauncher>(
      executor, NewRandom(), node.name + ":6124",
      [recorder = recorder_, name = node.name,
       weak = std::weak_ptr(process)](const LaunchSpec& spec) {
        const auto alive = weak.lock();
        if (!alive) return recorder->ScriptFor(name, Epoch{}, spec);
        // Not by its own word alone: whoever goes back to an old leader says so with conviction.
        const Epoch newest = std::max(alive->obeyed, alive->task_executor->epoch());
        alive->obeyed = std::max(newest, spec.id.epoch);
        return recorder->ScriptFor(name, newest, spec);
      });
  process->launcher->SetGuardian(process->executors[1]);
  process->launcher->Observe(recorder_->ObserverOf(node.name));
  const FrameTransportPtr transport = network_->NewProcess(node.name);
  auto listener =
      transport->Listen(node.name + ":6124", process->executors[1],
                        [launcher = process->launcher](const FrameConnectionPtr& connection) {
                          connection->Start({});
                          connection->Send(launcher->guardian_incarnation().value());
                          connection->Close();
                        });
  if (!listener.ok()) return violated_("L1", "a worker's port: " + listener.status().ToString());
  process->liveness = *std::move(listener);
  process->task_executor = TaskExecutor::Create(
      {executor, transport, process->launcher, NewRandom(), WorkerOptions(node.name)}, nullptr);
  executor->Post([task_executor = process->task_executor] { task_executor->Start(); });
  node.process = std::move(process);
}

void SimulatedCluster::KillWorker(size_t worker) {
  if (!workers_[worker].process) return;
  recorder_->Harm(workers_[worker].name);
  network_->Kill(workers_[worker].name);
  workers_[worker].process->launcher->Kill(client_executor_, kDying);
  BuryWorker(workers_[worker]);
}

void SimulatedCluster::LoseWorkerHost(size_t worker) {
  recorder_->Harm(workers_[worker].name);
  network_->LoseHost(workers_[worker].name);
  workers_[worker].process->launcher->Kill();
  BuryWorker(workers_[worker]);
}

void SimulatedCluster::BuryWorker(WorkerNode& node) {
  node.earlier = std::exchange(node.process, nullptr);
  graveyard_.push_back(node.earlier);
  for (const auto& executor : node.earlier->executors) executor->Kill();
}

bool SimulatedCluster::WorkerServes(size_t worker) const {
  const auto& process = workers_[worker].process;
  return process && process->task_executor->registered() &&
         process->task_executor->epoch().value == recorder_->epoch();
}

void SimulatedCluster::LoseGuardian(size_t worker) {
  const auto& process = workers_[worker].process;
  recorder_->Harm(workers_[worker].name);
  process->executors[0]->Post([launcher = process->launcher] { launcher->LoseGuardian(kDying); });
}

void SimulatedCluster::PauseWorker(size_t worker) {
  recorder_->BeginHarm(workers_[worker].name);
  workers_[worker].process->executors[0]->Pause();
}

void SimulatedCluster::ResumeWorker(size_t worker) {
  recorder_->EndHarm(workers_[worker].name);
  if (workers_[worker].process) workers_[worker].process->executors[0]->Resume();
}

void SimulatedCluster::CutWorker(size_t worker) {
  for (const ReplicaNode& replica : replicas_) network_->Cut(workers_[worker].name, replica.name);
}

void SimulatedCluster::HealWorker(size_t worker) {
  for (const ReplicaNode& replica : replicas_) network_->Heal(workers_[worker].name, replica.name);
}

}  // namespace baton
