#include "entrypoint/replica.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

constexpr Duration kStoreCheck = std::chrono::seconds(1);
constexpr Duration kStepDownAtMostEvery = std::chrono::minutes(1);

pb::Hello HelloOf(const ReplicaSettings& settings, const Incarnation& incarnation) {
  pb::Hello hello;
  hello.set_cluster_id(settings.cluster_id);
  hello.set_role(pb::Hello::REPLICA);
  hello.set_id(settings.id.value());
  hello.set_incarnation(incarnation.value());
  return hello;
}

std::string RecoveryJson(const TreeRecoveryReport& report) {
  return nlohmann::json{{"epoch", report.epoch},
                        {"jobs", report.jobs},
                        {"results", report.results},
                        {"asked", report.asked},
                        {"ignored", report.ignored}}
      .dump();
}

}  // namespace

std::shared_ptr<Replica> Replica::New(Dependencies dependencies, ReplicaSettings settings) {
  std::shared_ptr<Replica> replica(new Replica(std::move(dependencies), std::move(settings)));
  replica->BuildRest();
  return replica;
}

Replica::Replica(Dependencies dependencies, ReplicaSettings settings)
    : deps_(std::move(dependencies)),
      settings_(std::move(settings)),
      identity_(HelloOf(settings_, deps_.random->NewIncarnation()), settings_.secrets,
                deps_.random) {
  self_.set_replica_id(settings_.id.value());
  self_.set_incarnation(identity_.hello.incarnation());
  self_.set_build_version(settings_.version);
}

void Replica::BuildRest() {
  RestEndpoint::Dependencies deps;
  deps.executor = deps_.rest_executor;
  deps.large_bodies = deps_.large_bodies;
  deps.random = deps_.random;
  deps.transport = deps_.http;
  deps.metrics = [registry = registry_, more = deps_.metrics] {
    return registry->RenderText() + (more ? more() : "");
  };
  auto weak = weak_from_this();
  deps.view = [weak] {
    auto self = weak.lock();
    return self ? self->View() : LeadershipView{};
  };
  deps.local_gateway = [weak]() -> DispatcherGatewayPtr {
    auto self = weak.lock();
    return self ? self->LocalGateway() : nullptr;
  };
  deps.unreachable = [weak] {
    auto self = weak.lock();
    return self ? self->Unreachable() : std::set<std::string>();
  };
  deps.store_ready = [] { return true; };  // the engine is open before there is a Replica
  deps.transfer = [weak](absl::AnyInvocable<void(absl::Status)> callback) {
    auto self = weak.lock();
    if (!self) return callback(Aborted("this replica is stopping"));
    self->deps_.ha_executor->Post([self, callback = std::move(callback)]() mutable {
      self->election_->HandOver(std::move(callback));
    });
  };
  deps.recover_pointers = [weak](std::set<std::string> without, auto callback) {
    auto self = weak.lock();
    if (!self) return callback(Aborted("this replica is stopping"));
    self->deps_.ha_executor->Post(
        [self, without = std::move(without), callback = std::move(callback)]() mutable {
          self->RecoverPointers(std::move(without), std::move(callback));
        });
  };
  rest_ = RestEndpoint::New(std::move(deps), {settings_.id, settings_.version, settings_.job_limits,
                                              settings_.relay_limits, settings_.max_log_followers});
}

absl::Status Replica::Start(const std::string& rest_address) {
  server_ = std::make_shared<RpcServer>(deps_.frames, deps_.ha_executor, identity_);
  StartStore();
  StartServer();
  if (auto status = server_->Start(settings_.rpc_bind_address); !status.ok()) return status;
  self_.set_rest_address(rest_address);
  self_.set_rpc_address(settings_.rpc_advertised_address.empty()
                            ? server_->address()
                            : settings_.rpc_advertised_address);
  StartPeers();
  log::Info("replica starts replica={} incarnation={} rest={} rpc={}", settings_.id.value(),
            self_.incarnation(), rest_address, self_.rpc_address());
  StartElection();
  return absl::OkStatus();
}

void Replica::StartStore() {
  peers_ = NewPeerMonitor(deps_.frames, deps_.ha_executor, identity_);
  ReplicaStore::Dependencies deps{deps_.engine,
                                  deps_.store_executor,
                                  deps_.coordination,
                                  CoordinationPaths(settings_.zookeeper_root, settings_.cluster_id),
                                  [peers = peers_] {
                                    std::vector<RpcLinkPtr> links;
                                    for (const auto& [id, link] : peers->OpenLinks())
                                      links.push_back(link);
                                    return links;
                                  },
                                  [weak = weak_from_this()] {
                                    auto self = weak.lock();
                                    return self ? Epoch{self->View().last_winner.epoch()} : Epoch{};
                                  },
                                  [weak = weak_from_this()] {
                                    auto self = weak.lock();
                                    return self && self->Leads();
                                  },
                                  registry_,
                                  settings_.store};
  store_ = std::make_shared<ReplicaStore>(std::move(deps));
}

// The journal is read first: an epoch that it knows must not come again (3.2).
void Replica::StartElection() {
  auto election =
      NewLeaderElection({deps_.coordination, deps_.ha_executor,
                         CoordinationPaths(settings_.zookeeper_root, settings_.cluster_id), self_,
                         settings_.fence_limits, deps_.random});
  {
    std::lock_guard lock(mutex_);
    election_ = election;
  }
  store_->Load(
      BindTo(deps_.ha_executor, IfAlive(weak_from_this(), [election](Replica& self, Epoch highest) {
               if (self.stopping_) return;
               self.started_ = true;
               election->ObserveEpoch(highest);
               election->AddListener([weak = self.weak_from_this()](const LeadershipView& view) {
                 if (auto self = weak.lock()) self->OnView(view);
               });
               election->Start(&self);
               self.store_->Converge();
               self.ArmStoreCheck();
             })));
}

void Replica::RecoverPointers(std::set<std::string> without,
                              absl::AnyInvocable<void(absl::StatusOr<std::string>)> callback) {
  if (!store_ || !started_) return callback(Unavailable("this replica is starting"));
  if (process_) return callback(FailedPrecondition("this replica leads: nothing is lost"));
  store_->RecoverTree(settings_.id.value(), std::move(without),
                      [callback = std::move(callback)](auto report) mutable {
                        if (!report.ok()) return callback(report.status());
                        callback(RecoveryJson(*report));
                      });
}

void Replica::ArmStoreCheck() {
  deps_.ha_executor->PostAfter(kStoreCheck, IfAlive(weak_from_this(), [](Replica& self) {
                                 if (self.stopping_) return;
                                 self.CheckStore();
                                 self.ArmStoreCheck();
                               }));
}

// A leader whose disk fails can make no job durable any more, and cannot read what it needs. It
// hands over while there is a replica with a better one; where there is none, it goes on with the
// jobs that run. At most once in a while: two sick disks must not pass the baton for ever (L4).
void Replica::CheckStore() {
  const TimePoint now = deps_.ha_executor->Now();
  if (!process_ || !store_->fails() || now < next_step_down_) return;
  const auto links = peers_->OpenLinks();
  const bool successor = std::any_of(links.begin(), links.end(), [this](const auto& entry) {
    auto said = peer_store_fails_.find(entry.first);
    return said != peer_store_fails_.end() && !said->second;
  });
  if (!successor) return;
  next_step_down_ = now + kStepDownAtMostEvery;
  log::Error("this leader's store fails, handing over replica={}", settings_.id.value());
  election_->HandOver([](const absl::Status& status) {
    if (!status.ok()) log::Warning("not handed over: {}", Message(status));
  });
}

void Replica::PassThroughStrands(Task done) {
  deps_.ha_executor->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    ExecutorPtr leader = self->process_ ? self->process_->executor() : nullptr;
    self->deps_.store_executor->Post(
        [leader = std::move(leader), done = std::move(done)]() mutable {
          leader ? leader->Post(std::move(done)) : done();
        });
  });
}

void Replica::OnView(const LeadershipView& view) {
  SetPeers(view);
  silence_watch_->OnView(view);
  announcer_.OnView(view);
  store_->OnView(view);
  if (process_) process_->OnView(view);
  rest_->OnLeadershipChanged(view);
}

std::shared_ptr<DispatcherLeaderProcess> Replica::NewLeaderProcess(const pb::LeaderRecord& record,
                                                                   LeaderFencePtr fence) {
  DispatcherLeaderProcess::Dependencies deps;
  deps.executor = deps_.new_executor();
  deps.transport = deps_.frames;
  deps.random = deps_.random;
  deps.fence = store_->Journaled(std::move(fence));
  deps.record = record;
  deps.blobs = store_->blobs();
  deps.blob_places = store_->places();
  auto weak = weak_from_this();
  deps.last_lease_answer = [weak, executor = deps_.ha_executor](const TaskManagerId& id,
                                                                auto callback) {
    executor->Post([weak, id, callback = std::move(callback)]() mutable {
      if (auto self = weak.lock()) callback(self->election_->LastLeaseAnswer(id));
    });
  };
  deps.options = settings_.dispatcher;
  return std::make_shared<DispatcherLeaderProcess>(std::move(deps));
}

void Replica::OnGrant(const pb::LeaderRecord& record, LeaderFencePtr fence) {
  log::Info("this replica leads replica={} epoch={} cause={}", settings_.id.value(), record.epoch(),
            record.cause());
  process_ = NewLeaderProcess(record, std::move(fence));
  pulse_ = std::make_shared<Pulse>(process_->executor(), deps_.ha_executor);
  process_->Start();
  {
    std::lock_guard lock(mutex_);
    gateway_ = process_->gateway();
  }
  const LeadershipView view = View();
  process_->OnView(view);
  rest_->OnLeadershipChanged(view);
}

void Replica::OnRevoke(Epoch epoch, const absl::Status& why) {
  log::Info("this replica does not lead any more replica={} epoch={} why={}", settings_.id.value(),
            epoch.value, why.ok() ? "handed over" : Message(why));
  {
    std::lock_guard lock(mutex_);
    gateway_ = nullptr;
  }
  if (process_) process_->Stop();
  process_ = nullptr;
  pulse_ = nullptr;
}

void Replica::Stop(absl::AnyInvocable<void()> done) {
  rest_->StopAccepting();
  stopping_ = true;
  if (!election_) return done();
  auto leave = [self = shared_from_this(), done = std::move(done)]() mutable {
    self->silence_watch_->Stop();
    self->peers_->Stop();
    self->server_->Stop();
    self->rest_->Stop();
    done();
  };
  if (!started_) return leave();
  election_->Stop(std::move(leave));
}

LeadershipView Replica::View() const {
  LeaderElectionPtr election;
  {
    std::lock_guard lock(mutex_);
    election = election_;
  }
  return election ? election->Snapshot() : LeadershipView{};
}

bool Replica::Leads() const {
  std::lock_guard lock(mutex_);
  return gateway_ != nullptr;
}

DispatcherGatewayPtr Replica::LocalGateway() const {
  DispatcherGatewayPtr gateway;
  {
    std::lock_guard lock(mutex_);
    gateway = gateway_;
  }
  return gateway && View().self_leads ? gateway : nullptr;
}

}  // namespace baton
