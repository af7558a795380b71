#include "dispatcher/dispatcher_leader_process.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "dispatcher/answer_once.h"

namespace baton {

// Takes each question to the executor of the process. Every callback is wrapped so that it is
// answered even when what holds it is dropped with the process (P8).
class DispatcherLeaderProcess::Gateway final : public DispatcherGateway {
 public:
  Gateway(ExecutorPtr executor, std::weak_ptr<DispatcherLeaderProcess> process, Epoch epoch)
      : executor_(std::move(executor)), process_(std::move(process)), epoch_(epoch) {}

  Epoch epoch() const override { return epoch_; }

  void SubmitJob(SubmitRequest request, Callback<SubmitReply> callback) override {
    Ask<absl::StatusOr<SubmitReply>>(
        std::move(callback), [request = std::move(request)](Dispatcher& d, auto callback) mutable {
          d.SubmitJob(std::move(request), std::move(callback));
        });
  }
  void CancelJob(JobId job, absl::AnyInvocable<void(absl::Status)> callback) override {
    Ask<absl::Status>(std::move(callback), [job](Dispatcher& d, auto callback) {
      d.CancelJob(job, std::move(callback));
    });
  }
  void ListJobs(Callback<std::vector<JobOverview>> callback) override {
    Ask<absl::StatusOr<std::vector<JobOverview>>>(
        std::move(callback), [](Dispatcher& d, auto callback) { d.ListJobs(std::move(callback)); });
  }
  void GetJob(JobId job, Callback<JobDetails> callback) override {
    Ask<absl::StatusOr<JobDetails>>(std::move(callback), [job](Dispatcher& d, auto callback) {
      d.GetJob(job, std::move(callback));
    });
  }
  void GetVertex(JobId job, std::string vertex_id, Callback<VertexDetails> callback) override {
    Ask<absl::StatusOr<VertexDetails>>(
        std::move(callback), [job, vertex_id = std::move(vertex_id)](Dispatcher& d, auto callback) {
          d.GetVertex(job, vertex_id, std::move(callback));
        });
  }
  void GetOverview(Callback<ClusterOverview> callback) override {
    Ask<absl::StatusOr<ClusterOverview>>(std::move(callback), [](Dispatcher& d, auto callback) {
      d.GetOverview(std::move(callback));
    });
  }
  void ListTaskManagers(Callback<std::vector<TaskManagerInfo>> callback) override {
    auto answered =
        EnsureAnswered<absl::StatusOr<std::vector<TaskManagerInfo>>>(std::move(callback));
    executor_->Post([process = process_, callback = std::move(answered)]() mutable {
      auto alive = process.lock();
      if (alive && alive->resource_manager_) callback(alive->resource_manager_->Describe());
    });
  }
  void DrainTaskManager(DrainRequest request,
                        absl::AnyInvocable<void(absl::Status)> callback) override {
    AskProcess(std::move(callback), [request = std::move(request)](auto& process, auto callback) {
      process.resource_manager_->Drain(request, std::move(callback));
    });
  }
  void ForgetTaskManager(std::string id, absl::AnyInvocable<void(absl::Status)> callback) override {
    AskProcess(std::move(callback), [id = TaskManagerId(id)](auto& process, auto callback) {
      process.resource_manager_->ForgetTaskManager(id, std::move(callback));
    });
  }
  void RetireReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) override {
    AskProcess(std::move(callback), [id](auto& process, auto callback) {
      process.membership_->Retire(id, std::move(callback));
    });
  }
  void AdmitReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) override {
    AskProcess(std::move(callback), [id](auto& process, auto callback) {
      process.membership_->Admit(id, std::move(callback));
    });
  }
  void ReadTaskLog(TaskLogRequest request, Callback<TaskLogChunk> callback) override {
    Ask<absl::StatusOr<TaskLogChunk>>(std::move(callback),
                                      [request = std::move(request)](Dispatcher& d, auto callback) {
                                        d.ReadTaskLog(request, std::move(callback));
                                      });
  }

 private:
  // Of what does not need the list of jobs.
  template <class Question>
  void AskProcess(absl::AnyInvocable<void(absl::Status)> callback, Question question) {
    executor_->Post([process = process_, question = std::move(question),
                     callback = EnsureAnswered<absl::Status>(std::move(callback))]() mutable {
      auto alive = process.lock();
      if (alive && alive->resource_manager_) question(*alive, std::move(callback));
    });
  }

  template <class Answer, class Question>
  void Ask(absl::AnyInvocable<void(Answer)> callback, Question question) {
    executor_->Post([process = process_, question = std::move(question),
                     callback = EnsureAnswered<Answer>(std::move(callback))]() mutable {
      auto alive = process.lock();
      if (!alive || !alive->dispatcher_) return;
      alive->dispatcher_->WhenListed([dispatcher = alive->dispatcher_.get(),
                                      question = std::move(question),
                                      callback = std::move(callback)]() mutable {
        question(*dispatcher, std::move(callback));
      });
    });
  }

  const ExecutorPtr executor_;
  const std::weak_ptr<DispatcherLeaderProcess> process_;
  const Epoch epoch_;
};

DispatcherLeaderProcess::DispatcherLeaderProcess(Dependencies dependencies)
    : deps_(std::move(dependencies)), leading_since_(deps_.executor->Now()) {}

void DispatcherLeaderProcess::Start() {
  deps_.executor->Post(
      IfAlive(weak_from_this(), [](DispatcherLeaderProcess& self) { self.Build(); }));
}

void DispatcherLeaderProcess::Build() {
  auto policy = NewAssignmentPolicy(deps_.options.assignment_policy);
  if (!policy.ok()) {  // the configuration was checked at the start
    log::Error("{}; greedy is used", Message(policy.status()));
    policy = NewAssignmentPolicy("greedy");
  }
  ResourceManager::Dependencies rm;
  rm.executor = deps_.executor;
  rm.transport = deps_.transport;
  rm.random = deps_.random;
  rm.fence = deps_.fence;
  rm.leader = deps_.record;
  rm.last_lease_answer = deps_.last_lease_answer;
  rm.leading_since = leading_since_;
  rm.lease = deps_.options.lease;
  rm.policy = *std::move(policy);
  rm.job_is_live = [weak = weak_from_this()](const JobId& job) {
    auto self = weak.lock();
    return !self || !self->dispatcher_ || self->dispatcher_->JobIsLive(job);
  };
  resource_manager_ = std::make_shared<ResourceManager>(std::move(rm));
  membership_ = std::make_shared<Membership>(
      Membership::Dependencies{deps_.executor, resource_manager_.get(), deps_.fence,
                               ReplicaId(deps_.record.replica_id()), deps_.options.member_timeout});
  resource_manager_->OnMembersAsked([weak = std::weak_ptr(membership_)] {
    if (auto membership = weak.lock()) membership->Evaluate();
  });

  Dispatcher::Dependencies dispatcher;
  dispatcher.executor = deps_.executor;
  dispatcher.replica = ReplicaId(deps_.record.replica_id());
  dispatcher.epoch = deps_.fence->epoch();
  dispatcher.resource_manager = resource_manager_.get();
  dispatcher.options = deps_.options;
  BuildStores(&dispatcher);
  dispatcher_ = std::make_shared<Dispatcher>(std::move(dispatcher));
  dispatcher_->Start();  // first: clients wait for the list of jobs
  resource_manager_->Start();
  membership_->Start();
  collector_->Start();
}

void DispatcherLeaderProcess::BuildStores(Dispatcher::Dependencies* dispatcher) {
  auto pins = std::make_shared<BlobPins>();
  dispatcher->graphs = NewJobGraphStore(deps_.fence, deps_.blobs, pins);
  dispatcher->results =
      NewJobResultStore(deps_.fence, deps_.blobs, pins, deps_.executor, deps_.options.history);
  BlobCollector::Dependencies collector{deps_.executor,
                                        deps_.fence,
                                        pins,
                                        deps_.blob_places,
                                        [weak = weak_from_this()] {
                                          auto self = weak.lock();
                                          return self && self->dispatcher_
                                                     ? self->dispatcher_->GraphDigests()
                                                     : std::set<std::string>();
                                        },
                                        deps_.options.collection};
  collector_ = std::make_shared<BlobCollector>(std::move(collector));
}

void DispatcherLeaderProcess::Stop() {
  // The strand may outlive this object's last other reference.
  deps_.executor->Post([self = shared_from_this()] {
    self->collector_ = nullptr;
    self->dispatcher_ = nullptr;
    self->membership_ = nullptr;
    self->resource_manager_ = nullptr;
    log::Info("leader process stopped epoch={}", self->deps_.record.epoch());
  });
}

DispatcherGatewayPtr DispatcherLeaderProcess::gateway() {
  return std::make_shared<Gateway>(deps_.executor, weak_from_this(), deps_.fence->epoch());
}

void DispatcherLeaderProcess::OnTaskManagerMessage(const RpcLinkPtr& link, pb::Envelope message) {
  deps_.executor->Post([weak = weak_from_this(), link, message = std::move(message)] {
    auto self = weak.lock();
    if (!self || !self->resource_manager_) {
      return link->ReplyError(message, Unavailable("this replica does not lead any more"));
    }
    self->resource_manager_->OnMessage(link, message);
  });
}

void DispatcherLeaderProcess::OnLinkClosed(const RpcLinkPtr& link) {
  deps_.executor->Post(IfAlive(weak_from_this(), [link](DispatcherLeaderProcess& self) {
    if (self.resource_manager_) self.resource_manager_->OnLinkClosed(link.get());
  }));
}

void DispatcherLeaderProcess::OnView(const LeadershipView& view) {
  deps_.executor->Post(IfAlive(weak_from_this(), [view](DispatcherLeaderProcess& self) {
    if (self.membership_) self.membership_->OnView(view);
  }));
}

}  // namespace baton
