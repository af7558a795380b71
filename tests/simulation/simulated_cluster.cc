#include "tests/simulation/simulated_cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/fault_point.h"
#include "store/blob_store.h"

namespace baton {
namespace {

constexpr char kRoot[] = "/baton";
constexpr char kClusterId[] = "simulated";
constexpr Duration kMaxDelay = std::chrono::milliseconds(3);  // to the coordination service

}  // namespace

SimulatedCluster::SimulatedCluster(uint64_t seed, Shape shape)
    : scheduler_(seed),
      shape_(shape),
      random_(NewSeededRandom(seed)),
      network_(std::make_shared<SimulatedNetwork>(seed)),
      http_(std::make_shared<SimulatedHttp>()) {
  // A bug shows as an error line of the simulated processes; what the rest says is of interest only
  // to who looks at one seed.
  static const bool verbose = std::getenv("BATON_SIMULATION_LOG") != nullptr;
  if (!verbose) {
    EXPECT_TRUE(log::Init("simulation", "/dev/null", log::Level::kInfo).ok());
  }
  log::SetSink([this](log::Level level, const std::string& line) { OnLogLine(level, line); });
  SetFaultPointHandler([this](std::string_view name) { OnFaultPoint(name); });
  network_->SetLatency(std::chrono::microseconds(100), std::chrono::microseconds(400));
  coordination_executor_ = NewExecutor("coordination");
  client_executor_ = NewExecutor("client");
  coordination_ = std::make_shared<EmbeddedCoordinationServer>(coordination_executor_);
  admin_ = NewEmbeddedClient(coordination_, client_executor_, kSession);
  admin_->Start([](SessionEvent) {});
  recorder_ =
      std::make_shared<Recorder>(client_executor_, admin_, CoordinationPaths(kRoot, kClusterId));
  Advance(std::chrono::milliseconds(1));
  recorder_->Start();
  for (size_t i = 0; i < shape_.replicas; ++i) {
    replicas_.push_back({"d" + std::to_string(i), std::make_shared<FakeDisk>(), nullptr});
    StartReplica(i);
  }
  for (size_t i = 0; i < shape_.workers; ++i) {
    workers_.push_back({WorkerName(i), nullptr});
    StartWorker(i);
  }
}

SimulatedCluster::~SimulatedCluster() {
  SetFaultPointHandler(nullptr);
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

void SimulatedCluster::OnLogLine(log::Level level, const std::string& line) {
  static const bool verbose = std::getenv("BATON_SIMULATION_LOG") != nullptr;
  if (verbose) {
    std::fprintf(stderr, "%10.4f %s\n",
                 static_cast<double>(scheduler_.Now().time_since_epoch().count()) / 1e9 - 3600,
                 line.c_str());
  }
  if (level != log::Level::kError) return;
  const bool explained = std::ranges::any_of(
      explained_, [&](const std::string& text) { return line.find(text) != std::string::npos; });
  EXPECT_TRUE(explained) << "an error that no fault explains: " << line;
}

// ---- time

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

bool SimulatedCluster::IsReady() const {
  const size_t leader = Leader();
  if (leader == kNobody) return false;
  const auto view = replicas_[leader].process->replica->View();
  if (static_cast<size_t>(view.members.members_size()) != replicas_.size()) return false;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (!WorkerServes(i)) return false;
  }
  return true;
}

void SimulatedCluster::AwaitReady() {
  ASSERT_TRUE(RunUntil([this] { return IsReady(); })) << "the cluster does not come up";
}

void SimulatedCluster::ExpectAllEnd(Duration limit) {
  EXPECT_TRUE(RunUntil([this] { return recorder_->AllEnded(); }, limit))
      << recorder_->DescribeUnfinished();
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
  settings.rpc_bind_address = node.name + ":6123";
  settings.version = "simulated";
  settings.store.replication.min_copies = shape_.replicas > 1 ? 2 : 1;
  settings.dispatcher.lease.lease = kLease;
  return settings;
}

void SimulatedCluster::StartReplica(size_t replica) {
  ReplicaNode& node = replicas_[replica];
  auto process = std::make_shared<ReplicaProcess>();
  const auto executor = [&](const std::string& role) {
    process->executors.push_back(NewExecutor(node.name + "/" + role));
    return process->executors.back();
  };
  Replica::Dependencies deps;
  deps.ha_executor = executor("ha");
  deps.rest_executor = executor("rest");
  deps.new_executor = [this, weak = std::weak_ptr(process), name = node.name]() -> ExecutorPtr {
    auto alive = weak.lock();
    alive->executors.push_back(NewExecutor(name + "/leader"));
    return alive->executors.back();
  };
  deps.coordination = process->client =
      NewEmbeddedClient(coordination_, deps.ha_executor, kSession);
  coordination_->SetDelay(process->client, std::chrono::microseconds(200) + Draw(kMaxDelay),
                          std::chrono::microseconds(200) + Draw(kMaxDelay));
  deps.frames = network_->NewProcess(node.name);
  deps.http = http_;
  deps.engine = process->engine =
      std::make_shared<FakeKvEngine>(node.disk, executor("disk"), StoreFamilies());
  deps.random = NewRandom();
  const ExecutorPtr ha = deps.ha_executor, rest = deps.rest_executor;
  process->replica = Replica::New(std::move(deps), SettingsOf(node));
  http_->Serve(RestAddress(replica), node.name, rest, &process->replica->rest());
  ha->Post([replica = process->replica, address = RestAddress(replica)] {
    const absl::Status status = replica->Start(address);
    EXPECT_TRUE(status.ok()) << status;
  });
  node.process = std::move(process);
}

void SimulatedCluster::KillReplica(size_t replica) {
  ReplicaNode& node = replicas_[replica];
  if (!node.process) return;
  const auto process = std::exchange(node.process, nullptr);
  graveyard_.push_back(process);
  network_->Kill(node.name);
  http_->Kill(node.name);
  for (const auto& executor : std::vector(process->executors)) executor->Kill();
}

void SimulatedCluster::PauseReplica(size_t replica) {
  for (const auto& executor : replicas_[replica].process->executors) executor->Pause();
}

void SimulatedCluster::ResumeReplica(size_t replica) {
  for (const auto& executor : replicas_[replica].process->executors) executor->Resume();
}

void SimulatedCluster::HangLeader(size_t replica) {
  for (const auto& executor : replicas_[replica].process->executors) {
    if (executor->name().ends_with("/leader")) executor->Pause();
  }
}

void SimulatedCluster::ExpireSession(size_t replica) {
  coordination_->Expire(replicas_[replica].process->client);
}

void SimulatedCluster::DisconnectFromCoordination(size_t replica,
                                                  EmbeddedCoordinationServer::Cut cut) {
  coordination_->Disconnect(replicas_[replica].process->client, cut);
}

void SimulatedCluster::DropNextAnswer(size_t replica, EmbeddedCoordinationServer::LostAnswer lost) {
  coordination_->DropNextAnswer(replicas_[replica].process->client, lost);
}

void SimulatedCluster::ReconnectToCoordination(size_t replica) {
  coordination_->Reconnect(replicas_[replica].process->client);
}

size_t SimulatedCluster::Leader() const {
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i].process) continue;
    const LeadershipView view = replicas_[i].process->replica->View();
    if (view.self_leads && view.last_winner.epoch() == recorder_->epoch()) return i;
  }
  return kNobody;
}

size_t SimulatedCluster::AwaitLeader() {
  EXPECT_TRUE(RunUntil([this] { return Leader() != kNobody; })) << "nobody leads";
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

TaskExecutorOptions SimulatedCluster::WorkerOptions(const std::string& name) const {
  TaskExecutorOptions options;
  options.cluster_id = kClusterId;
  options.id = TaskManagerId(name);
  for (const ReplicaNode& replica : replicas_) {
    options.dispatchers.push_back(replica.name + ":6123");
  }
  options.slots = shape_.slots;
  options.host = name;
  options.lease = kLease;
  return options;
}

void SimulatedCluster::StartWorker(size_t worker) {
  WorkerNode& node = workers_[worker];
  auto process = std::make_shared<WorkerProcess>();
  const auto executor = NewExecutor(node.name);
  process->executors = {executor, NewExecutor(node.name + "/guardian")};
  process->launcher = std::make_shared<FakeProcessLauncher>(
      executor, NewRandom(), node.name + ":6124",
      [recorder = recorder_](const LaunchSpec& spec) { return recorder->ScriptFor(spec); });
  process->launcher->Observe(recorder_->ObserverOf(node.name));
  const FrameTransportPtr transport = network_->NewProcess(node.name);
  auto listener =
      transport->Listen(node.name + ":6124", process->executors[1],
                        [launcher = process->launcher](const FrameConnectionPtr& connection) {
                          connection->Start({});
                          connection->Send(launcher->guardian_incarnation().value());
                          connection->Close();
                        });
  ASSERT_TRUE(listener.ok()) << listener.status();
  process->liveness = *std::move(listener);
  process->task_executor = TaskExecutor::Create(
      {executor, transport, process->launcher, NewRandom(), WorkerOptions(node.name)}, nullptr);
  executor->Post([task_executor = process->task_executor] { task_executor->Start(); });
  node.process = std::move(process);
}

void SimulatedCluster::KillWorker(size_t worker) {
  if (!workers_[worker].process) return;
  network_->Kill(workers_[worker].name);
  BuryWorker(workers_[worker]);
}

void SimulatedCluster::LoseWorkerHost(size_t worker) {
  network_->LoseHost(workers_[worker].name);
  BuryWorker(workers_[worker]);
}

void SimulatedCluster::BuryWorker(WorkerNode& node) {
  const auto process = std::exchange(node.process, nullptr);
  graveyard_.push_back(process);
  process->launcher->Kill();
  for (const auto& executor : process->executors) executor->Kill();
}

bool SimulatedCluster::WorkerServes(size_t worker) const {
  const auto& process = workers_[worker].process;
  return process && process->task_executor->registered() &&
         process->task_executor->epoch().value == recorder_->epoch();
}

void SimulatedCluster::LoseGuardian(size_t worker) {
  const auto& process = workers_[worker].process;
  process->executors[0]->Post([launcher = process->launcher] { launcher->LoseGuardian(); });
}

void SimulatedCluster::CutWorker(size_t worker) {
  for (const ReplicaNode& replica : replicas_) network_->Cut(workers_[worker].name, replica.name);
}

void SimulatedCluster::HealWorker(size_t worker) {
  for (const ReplicaNode& replica : replicas_) network_->Heal(workers_[worker].name, replica.name);
}

}  // namespace baton
