// A dispatcher replica: where election, links to the peers, store, leader process and REST are
// wired together. Everything external comes in through the seams, so the same class runs in a
// daemon and, with a whole cluster of others, in one thread under a simulator.
//
// Lives on `ha_executor`: Start, Stop and HandOver are called there. rest() and what says so may be
// called from any thread. Owned by main (or a test); Stop before dropping it.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/random.h"
#include "dispatcher/dispatcher_leader_process.h"
#include "dispatcher/options.h"
#include "ha/coordination_client.h"
#include "ha/leader_announcer.h"
#include "ha/leader_election.h"
#include "ha/peer_monitor.h"
#include "ha/pulse.h"
#include "ha/silence_watch.h"
#include "rest/rest_endpoint.h"
#include "rpc/rpc_server.h"
#include "store/kv_engine.h"
#include "store/replica_store.h"

namespace baton {

struct ReplicaSettings {
  ReplicaId id;
  std::string cluster_id;
  ClusterSecretsPtr secrets;  // null: none
  std::string zookeeper_root;
  std::string rpc_bind_address;
  std::string rpc_advertised_address;  // empty: where it is bound
  std::string version;
  StoreOptions store;
  FenceLimits fence_limits;
  DispatcherOptions dispatcher;
  JobLimits job_limits;
  LeaderRelayLimits relay_limits;
  size_t max_log_followers = 500;
};

class Replica final : public LeaderContender, public std::enable_shared_from_this<Replica> {
 public:
  struct Dependencies {
    ExecutorPtr ha_executor;     // election, RPC links
    ExecutorPtr store_executor;  // whatever touches the bytes of blobs
    ExecutorPtr rest_executor;
    ExecutorPtr large_bodies;  // on a thread of its own; may be null (RestEndpoint)
    std::function<ExecutorPtr()> new_executor;  // one for each leader process
    CoordinationClientPtr coordination;         // on ha_executor
    FrameTransportPtr frames;
    HttpTransportPtr http;
    KvEnginePtr engine;
    RandomPtr random;
    // Prometheus text of the process, beside what the replica counts itself; may be null.
    std::function<std::string()> metrics;
  };

  static std::shared_ptr<Replica> New(Dependencies dependencies, ReplicaSettings settings);

  // Listens for RPC and takes part in the election; `rest_address` is where others reach rest().
  absl::Status Start(const std::string& rest_address);

  // Hands over if leading, leaves the cluster, answers what waits; then `done`.
  void Stop(absl::AnyInvocable<void()> done);

  // Calls `done` after it has passed through the strands of the election, of the store and, while
  // this replica leads, of the leader process. Any thread.
  void PassThroughStrands(Task done);

  RequestHandler& rest() { return *rest_; }
  std::string rpc_address() const { return self_.rpc_address(); }
  LeadershipView View() const;  // any thread
  // Replicas that this one cannot reach now, by id. Any thread.
  std::set<std::string> Unreachable() const;

  // LeaderContender
  void OnGrant(const pb::LeaderRecord& record, LeaderFencePtr fence) override;
  void OnRevoke(Epoch epoch, const absl::Status& why) override;

 private:
  Replica(Dependencies dependencies, ReplicaSettings settings);

  void BuildRest();
  void StartStore();
  void StartElection();
  void StartServer();
  void StartPeers();
  pb::Pong AnswerPing() const;
  void OnPeerDead(const ReplicaId& id, const Incarnation& dead);
  enum class Reach { kReachable, kUnreachable };
  void NoteReach(const ReplicaId& id, Reach reach);
  void OnView(const LeadershipView& view);
  void SetPeers(const LeadershipView& view);
  void ServeTaskManagers();
  void PassToLeaderProcess(const RpcLinkPtr& link, pb::Envelope message);
  std::shared_ptr<DispatcherLeaderProcess> NewLeaderProcess(const pb::LeaderRecord& record,
                                                            LeaderFencePtr fence);
  bool Leads() const;  // any thread, as the next
  DispatcherGatewayPtr LocalGateway() const;
  void RecoverPointers(std::set<std::string> without,
                       absl::AnyInvocable<void(absl::StatusOr<std::string>)> callback);
  void ArmStoreCheck();
  void CheckStore();

  const Dependencies deps_;
  const ReplicaSettings settings_;
  const LinkIdentity identity_;
  pb::ReplicaRecord self_;
  const std::shared_ptr<MetricsRegistry> registry_ = std::make_shared<MetricsRegistry>();
  std::shared_ptr<RestEndpoint> rest_;

  // On ha_executor; set by Start.
  std::shared_ptr<RpcServer> server_;
  PeerMonitorPtr peers_;
  std::shared_ptr<SilenceWatch> silence_watch_;
  std::shared_ptr<ReplicaStore> store_;
  LeaderAnnouncer announcer_;
  std::shared_ptr<DispatcherLeaderProcess> process_;  // while leading
  std::shared_ptr<Pulse> pulse_;                      // of process_'s strand
  bool started_ = false;                              // the election
  bool stopping_ = false;
  std::map<ReplicaId, bool> peer_store_fails_;  // as they say themselves
  TimePoint next_step_down_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  LeaderElectionPtr election_;
  DispatcherGatewayPtr gateway_;  // while leading
  std::set<std::string> unreachable_;
};

}  // namespace baton
