// A whole cluster of production code in one thread and virtual time: replicas, TaskManagers and a
// coordination service that start, die, freeze and lose sight of each other as a test says, in an
// order drawn from its seed.
//
// Replaced are only the seams: Executor, FrameTransport, HttpTransport, KvEngine, ProcessLauncher,
// CoordinationClient (the embedded one, which is production code too) and Random.
//
// What a dead process leaves is its disk and its tasks' fate; its objects stay in a graveyard, on
// executors that run nothing any more, until the cluster ends.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/manual_executor.h"
#include "base/random.h"
#include "entrypoint/replica.h"
#include "ha/embedded_coordination.h"
#include "taskmanager/task_executor.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/simulation/copy_ledger.h"
#include "tests/simulation/leadership_judge.h"
#include "tests/simulation/recorder.h"
#include "tests/simulation/simulated_http.h"
#include "tests/simulation/violation.h"
#include "tests/store/fake_kv_engine.h"
#include "tests/taskmanager/fake_process_launcher.h"

namespace baton {

class SimulatedCluster {
 public:
  struct Shape {
    size_t replicas = 3;
    size_t workers = 2;
    uint32_t slots = 8;
    CollectionOptions collection = {};
    bool two_names = false;  // TaskManagers are told another name of each replica than it says
  };
  static constexpr Duration kLease = std::chrono::seconds(20);
  static constexpr Duration kSession = std::chrono::seconds(10);

  SimulatedCluster(uint64_t seed, Shape shape, OnViolation on_violation);
  ~SimulatedCluster();

  // Somebody leads, every replica may, every TaskManager serves.
  void AwaitReady();
  bool IsReady() const;
  // Exactly one leads the newest epoch, and every replica says that it does.
  bool IsAgreed() const;

  void Advance(Duration span);
  bool RunUntil(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(120));
  // Every acknowledged job ends; a violation if not.
  void ExpectAllEnd(Duration limit = std::chrono::minutes(5));
  Duration Draw(Duration below) { return random_->Below(below); }
  size_t DrawIndex(size_t count) { return static_cast<size_t>(random_->Next() % count); }

  TimePoint Now() const { return scheduler_.Now(); }
  double Seconds() const;  // since its start

  size_t replicas() const { return replicas_.size(); }
  size_t workers() const { return workers_.size(); }
  size_t slots() const { return workers_.size() * shape_.slots; }
  size_t CountGraphs() const;  // on all disks, ended jobs' too
  std::string RestAddress(size_t replica) const;
  bool IsAlive(size_t replica) const { return replicas_[replica].process != nullptr; }
  bool WorkerIsAlive(size_t worker) const { return workers_[worker].process != nullptr; }
  // Who leads the newest epoch by its own word; kNobody if it does not (yet).
  static constexpr size_t kNobody = SIZE_MAX;
  size_t Leader() const;
  size_t AwaitLeader();

  void KillReplica(size_t replica);      // kill -9
  void LoseReplicaHost(size_t replica);  // the same, and its ports do not refuse
  void StartReplica(size_t replica);
  // A dead one; the next time it listens at another address.
  void MoveReplica(size_t replica) { ++replicas_[replica].moves; }
  void PauseReplica(size_t replica);
  void ResumeReplica(size_t replica);  // and whatever of it hangs
  // What leads in it runs no more; its election and its links do.
  void HangLeader(size_t replica);
  void ExpireSession(size_t replica);
  // Whoever comes to this fault point first from now on dies there.
  void DieAt(const std::string& fault_point);
  bool died_at_fault_point() const { return died_at_fault_point_; }

  FakeDisk& DiskOf(size_t replica) { return *replicas_[replica].disk; }

  std::string WorkerName(size_t worker) const { return "t" + std::to_string(worker); }
  void KillWorker(size_t worker);  // and its guardian, and its tasks
  // The same, and nobody hears of it: not even its ports refuse any more.
  void LoseWorkerHost(size_t worker);
  void StartWorker(size_t worker);
  bool WorkerServes(size_t worker) const;
  void CutWorker(size_t worker);  // from every replica, both ways
  void HealWorker(size_t worker);
  void LoseGuardian(size_t worker);  // and its tasks; another one takes its place
  // The TaskManager is stopped; its guardian is not.
  void PauseWorker(size_t worker);
  void ResumeWorker(size_t worker);

  // What this host takes for the time, from now on.
  ManualClock& ClockOfReplica(size_t replica) { return *replicas_[replica].clock; }
  ManualClock& ClockOfWorker(size_t worker) { return *workers_[worker].clock; }

  // Links between processes, by name ("d0", "t1").
  const std::string& ReplicaName(size_t replica) const { return replicas_[replica].name; }
  SimulatedNetwork& network() { return *network_; }
  // What travels between processes takes up to so much longer than usual.
  void SetJitter(Duration more);

  void DisconnectFromCoordination(size_t replica, EmbeddedCoordinationServer::Cut cut);
  void ReconnectToCoordination(size_t replica);
  // The next change that this replica makes there takes its effect or not; its answer is lost.
  // With `folder`: the next change below it.
  void DropNextAnswer(size_t replica, EmbeddedCoordinationServer::LostAnswer lost,
                      const std::string& folder = "");
  void PauseCoordination() { coordination_executor_->Pause(); }
  void ResumeCoordination() { coordination_executor_->Resume(); }
  // Of an operator with a shell there.
  CoordinationClient& admin() { return *admin_; }
  static CoordinationPaths Paths();

  // Error lines with this text are explained by the faults of this test.
  void ExplainErrors(const std::string& text) { explained_.push_back(text); }

  Recorder& recorder() { return *recorder_; }
  void Violated(const std::string& invariant, const std::string& what) {
    violated_(invariant, what);
  }
  // Sees every line that the simulated processes log, and what is done to them.
  using OnTrace = std::function<void(const std::string& line)>;
  void Trace(OnTrace on_trace) { on_trace_ = std::move(on_trace); }

  SimulatedHttp& http() { return *http_; }
  HttpTransport& client_http() { return *client_http_; }
  ExecutorPtr client_executor() { return client_executor_; }
  Random& random() { return *random_; }
  RandomPtr NewRandom() { return NewSeededRandom(random_->Next()); }

  // For TaskManagers beside the cluster's own.
  std::shared_ptr<ManualExecutor> NewExecutor(const std::string& name);
  TaskExecutorOptions WorkerOptions(const std::string& name) const;

 private:
  struct ProcessDied {};

  struct ReplicaProcess {
    std::vector<std::shared_ptr<ManualExecutor>> executors;
    CoordinationClientPtr client;
    KvEnginePtr engine;
    std::shared_ptr<Replica> replica;
  };
  struct ReplicaNode {
    std::string name;
    std::shared_ptr<ManualClock> clock;
    std::shared_ptr<FakeDisk> disk;
    std::shared_ptr<ReplicaProcess> process;  // null: dead
    int moves = 0;
  };
  struct WorkerProcess {
    std::vector<std::shared_ptr<ManualExecutor>> executors;
    std::unique_ptr<FrameListener> liveness;
    std::shared_ptr<FakeProcessLauncher> launcher;
    std::shared_ptr<TaskExecutor> task_executor;
    Epoch obeyed;  // the newest whose orders it has followed
  };
  struct WorkerNode {
    std::string name;
    std::shared_ptr<ManualClock> clock;
    std::shared_ptr<WorkerProcess> process;  // null: dead
    std::shared_ptr<WorkerProcess> earlier = nullptr;
  };

  void JudgeLeadership(const std::shared_ptr<TreeJudge>& tree);
  ReplicaSettings SettingsOf(const ReplicaNode& node) const;
  // By which TaskManagers find it at first.
  std::string NameOf(const ReplicaNode& replica) const;
  void BuryReplica(ReplicaNode& node);
  void BuryWorker(WorkerNode& node);
  void OnFaultPoint(std::string_view name);
  void OnLogLine(log::Level level, const std::string& line);

  // What stands on its disk, and what is lost of it.
  void WatchGraphs(const ReplicaNode& node);

  ManualScheduler scheduler_;
  const TimePoint started_;
  const Shape shape_;
  const OnViolation violated_;
  const RandomPtr random_;
  const SimulatedNetworkPtr network_;
  const std::shared_ptr<SimulatedHttp> http_;
  HttpTransportPtr client_http_;
  std::shared_ptr<ManualExecutor> coordination_executor_;
  std::shared_ptr<ManualExecutor> client_executor_;
  EmbeddedCoordinationServerPtr coordination_;
  CoordinationClientPtr admin_;
  std::shared_ptr<CopyLedger> copies_;
  std::shared_ptr<Recorder> recorder_;
  std::unique_ptr<LeadershipJudge> leadership_judge_;
  std::vector<ReplicaNode> replicas_;
  std::vector<WorkerNode> workers_;
  std::vector<std::shared_ptr<void>> graveyard_;
  std::string fault_point_;
  bool died_at_fault_point_ = false;
  std::vector<std::string> explained_;
  OnTrace on_trace_;
};

}  // namespace baton
