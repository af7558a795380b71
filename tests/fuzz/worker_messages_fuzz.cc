// What TaskManagers may say to the leader, in any order: registrations, heartbeats, reports,
// answers to deployments, links that break. Three of them are the fuzzer's; a ResourceManager and a
// JobMaster of the production code hear them.
//
// Nothing crashes; what has finished stays so, and no attempt's number goes back (P6); slots are
// neither lost nor made (I10); what is remembered is bounded; and when the three are gone, an
// honest TaskManager brings the job to its end (P1).

#include <google/protobuf/stubs/logging.h>

#include <array>
#include <vector>

#include "base/log.h"
#include "dispatcher/job_master/job_master.h"
#include "tests/dispatcher/graphs.h"
#include "tests/dispatcher/worker_fixture.h"
#include "tests/fuzz/fuzz.h"

namespace baton::fuzz {
namespace {

constexpr size_t kLiars = 3;
constexpr size_t kMaxSteps = 60;

// A TaskManager's end of a link.
struct Speaker {
  RpcLinkPtr link;
  std::string registration_id;
  std::vector<ExecutionAttemptId> given;  // of them it may speak
  uint8_t mood = 0;                       // what it answers to deployments
};

class World final : public WorkerFixture {
 public:
  World() {
    MakeResourceManager();
    MakeJob();
  }
  ~World() override {
    master_ = nullptr;
    for (Speaker& speaker : speakers_) {
      if (speaker.link) speaker.link->Close();
    }
    rm_ = nullptr;
    scheduler_.AdvanceBy(std::chrono::seconds(20));  // past every timeout
  }
  void TestBody() override {}

  void Step(Input& input) {
    Speaker& speaker = speakers_[input.Byte() % kLiars];
    const uint8_t what = input.Byte();
    if (!speaker.link) Connect(speaker, "liar");
    switch (what % 8) {
      case 0:
        return SendParsed(speaker, pb::Envelope::kRegisterTaskManager, input.Piece());
      case 1:
        return SendParsed(speaker, pb::Envelope::kHeartbeat, input.Piece());
      case 2:
        return SendParsed(speaker, pb::Envelope::kTaskReports, input.Piece());
      case 3:
        return Register(speaker, input.Byte(), input.Byte(), input.Byte());
      case 4:
        return Report(speaker, input.Byte(), input.Byte(), input.Byte());
      case 5:
        return scheduler_.AdvanceBy(std::chrono::milliseconds(200) * input.Byte());
      case 6:
        if (speaker.link) speaker.link->Close();
        return Settle();
      default:
        speaker.mood = input.Byte();
    }
  }

  void Check() {
    for (uint32_t vertex = 0; vertex < last_.size(); ++vertex) {
      for (uint32_t subtask = 0; subtask < last_[vertex].size(); ++subtask) {
        CheckSubtask({vertex, subtask}, last_[vertex][subtask]);
      }
    }
    const auto infos = rm_->Describe();
    FUZZ_CHECK(infos.size() <= kLiars * kMaxSteps, "TaskManagers without end");
    for (const TaskManagerInfo& info : infos) {
      const uint64_t used = info.allocated.size();
      const uint64_t free = info.slots > used ? info.slots - used : 0;
      FUZZ_CHECK(info.free_slots == free,
                 fmt::format("{} free of {}, used {}", info.free_slots, info.slots, used));
    }
    master_->Details();
    if (outcome_) CheckOutcome();
  }

  // The liars are gone; one comes that does what it is told.
  void BringToAnEnd() {
    for (Speaker& speaker : speakers_) {
      if (speaker.link) speaker.link->Close();
    }
    scheduler_.AdvanceBy(std::chrono::minutes(2));
    Speaker& honest = speakers_.back();
    Connect(honest, "honest");
    Register(honest, 'h', 4, 0);
    for (int second = 0; second < 1'800 && !outcome_; ++second) {
      Heartbeat(honest);
      scheduler_.AdvanceBy(std::chrono::seconds(1));
      Check();
    }
    FUZZ_CHECK(outcome_.has_value(), "the job came to no end");
  }

 private:
  struct Seen {
    bool finished = false;
    std::pair<uint64_t, uint32_t> attempt;  // epoch, number
    uint32_t next_attempt = 0;
  };

  static JobId Job() { return JobId::FromKey("fuzzed"); }
  bool IsLive(const JobId& job) const override { return job == Job(); }

  void MakeJob() {
    const auto added = Add(Job());
    FUZZ_CHECK(added.ok(), added.status().ToString());
    JobMaster::Dependencies deps;
    deps.executor = executor_;
    deps.resource_manager = rm_.get();
    deps.epoch = Epoch{1};
    deps.commit_pointer = [this](pb::JobPointer pointer, auto callback) {
      graphs_->Update(Job(), std::move(pointer), std::move(callback));
    };
    deps.on_ended = [this](JobOutcome outcome) {
      FUZZ_CHECK(!outcome_, "it ended twice");
      outcome_ = std::move(outcome);
    };
    const JobEdge edge{0, 1, DistributionPattern::kAllToAll};
    master_ = std::make_shared<JobMaster>(
        std::move(deps), Job(),
        baton::Graph({Vertex("a", 3), Vertex("b", 2)}, {edge},
                     FixedDelay(1'000'000, std::chrono::milliseconds(100))),
        *added);
    FUZZ_CHECK(master_->Start(JobMaster::Origin::kNew), "it does not start");
    last_ = {std::vector<Seen>(3), std::vector<Seen>(2)};
  }

  void Connect(Speaker& speaker, const std::string& id) {
    auto executor = scheduler_.NewExecutor(id);
    auto opened = std::make_shared<RpcLinkPtr>();
    const std::string process = id + std::to_string(transports_.size());
    transports_[process] = network_->NewProcess(process);
    RpcLink::Connect(*transports_[process], "leader:6123", HelloOf(pb::Hello::TASK_MANAGER, id),
                     executor, std::chrono::seconds(5), [opened](absl::StatusOr<RpcLinkPtr> link) {
                       if (link.ok()) *opened = *link;
                     });
    scheduler_.RunUntil([&] { return *opened != nullptr; }, std::chrono::seconds(10));
    FUZZ_CHECK(*opened != nullptr, "a link is not served");
    speaker.link = *opened;
    speaker.link->Start(
        {.on_message = [this, &speaker](const RpcLinkPtr& link,
                                        const pb::Envelope& m) { OnOrder(speaker, link, m); },
         .on_closed = [&speaker](auto&&...) { speaker.link = nullptr; }});
  }

  void OnOrder(Speaker& speaker, const RpcLinkPtr& link, const pb::Envelope& order) {
    pb::Envelope reply;
    if (order.has_deploy_tasks()) {
      auto& answer = *reply.mutable_deploy_tasks_reply();
      const bool honest = &speaker == &speakers_.back();
      for (const auto& task : order.deploy_tasks().tasks()) {
        const auto id = *FromProto(task.id());
        speaker.given.push_back(id);
        if (honest) Send(speaker, StatusOf(id, pb::AttemptStatus::ENDED, pb::FinalReport::EXITED));
        if (speaker.mood % 4 == 1) *answer.add_refused()->mutable_id() = task.id();
      }
      if (speaker.mood % 4 == 2) {
        return link->ReplyError(order, absl::FailedPreconditionError("it is stopping"));
      }
      if (speaker.mood % 4 == 3) return;  // nothing
      return link->Reply(order, std::move(reply));
    }
    if (order.has_cancel_tasks()) {
      if (speaker.mood & 4) {
        *reply.mutable_cancel_tasks_reply()->mutable_unknown() = order.cancel_tasks().ids();
      }
      reply.mutable_cancel_tasks_reply();
      link->Reply(order, std::move(reply));
    }
  }

  static pb::AttemptStatus StatusOf(const ExecutionAttemptId& id, int phase, int outcome) {
    pb::AttemptStatus status;
    *status.mutable_id() = ToProto(id);
    status.set_phase(static_cast<pb::AttemptStatus::Phase>(phase));
    if (phase == pb::AttemptStatus::ENDED) {
      status.mutable_report()->set_outcome(static_cast<pb::FinalReport::Outcome>(outcome));
    }
    return status;
  }

  void Send(Speaker& speaker, const pb::AttemptStatus& status) {
    if (!speaker.link) return;
    pb::Envelope message;
    message.mutable_task_reports()->set_registration_id(speaker.registration_id);
    *message.mutable_task_reports()->add_reports() = status;
    speaker.link->Send(std::move(message));
  }

  // One that anybody was given, or that nobody was, yet.
  ExecutionAttemptId AnAttempt(Speaker& speaker, uint8_t which) {
    std::vector<ExecutionAttemptId> known = speaker.given;
    for (const Speaker& other : speakers_) {
      known.insert(known.end(), other.given.begin(), other.given.end());
    }
    if (which < 0xc0 && !known.empty()) return known[which % known.size()];
    return {Job(), uint32_t{which} >> 1 & 1, uint32_t{which} & 1, uint32_t{which} >> 2 & 3,
            Epoch{1u + (which >> 4 & 1)}};
  }

  void Report(Speaker& speaker, uint8_t which, uint8_t phase, uint8_t outcome) {
    pb::AttemptStatus status = StatusOf(AnAttempt(speaker, which), phase % 5, outcome % 10);
    status.mutable_report()->set_exit_code(outcome >> 4);
    Send(speaker, status);
    Settle();
  }

  void Register(Speaker& speaker, uint8_t name, uint8_t slots, uint8_t inventory) {
    pb::Envelope request;
    pb::RegisterTaskManager& registration = *request.mutable_register_task_manager();
    auto& description = *registration.mutable_description();
    description.set_id("tm-" + std::to_string(name % 4));
    if (name == 'h') description.set_id("honest");
    description.set_incarnation(std::to_string(name >> 4));
    description.set_slots(slots);
    description.set_liveness_address("nobody:1");
    description.set_guardian_incarnation(std::to_string(name >> 6));
    registration.set_number(slots & 0x40 ? ++numbers_ : 0);
    for (size_t i = 0; i < inventory % 16; ++i) {
      *registration.add_inventory() =
          StatusOf(AnAttempt(speaker, static_cast<uint8_t>(inventory * (i + 1))),
                   static_cast<int>(i % 4), inventory % 9);
    }
    Ask(speaker, std::move(request));
  }

  void Heartbeat(Speaker& speaker) {
    pb::Envelope request;
    request.mutable_heartbeat()->set_registration_id(speaker.registration_id);
    Ask(speaker, std::move(request));
  }

  void Ask(Speaker& speaker, pb::Envelope request) {
    if (!speaker.link) return;
    speaker.link->Call(std::move(request), std::chrono::seconds(5),
                       [&speaker](const absl::StatusOr<pb::Envelope>& reply) {
                         if (!reply.ok() || !reply->has_registration_reply()) return;
                         speaker.registration_id = reply->registration_reply().registration_id();
                       });
    Settle();
  }

  // `bytes` as a message of that kind. What it cannot guess is put in: its registration, the job.
  void SendParsed(Speaker& speaker, pb::Envelope::MessageCase kind, const std::string& bytes) {
    pb::Envelope request;
    if (kind == pb::Envelope::kHeartbeat) {
      if (!request.mutable_heartbeat()->ParseFromString(bytes)) return;
      Complete(speaker, request.mutable_heartbeat()->mutable_registration_id());
    } else if (kind == pb::Envelope::kTaskReports) {
      if (!request.mutable_task_reports()->ParseFromString(bytes)) return;
      Complete(speaker, request.mutable_task_reports()->mutable_registration_id());
      for (auto& status : *request.mutable_task_reports()->mutable_reports()) Complete(&status);
    } else {
      if (!request.mutable_register_task_manager()->ParseFromString(bytes)) return;
      for (auto& status : *request.mutable_register_task_manager()->mutable_inventory()) {
        Complete(&status);
      }
    }
    Ask(speaker, std::move(request));
  }
  static void Complete(const Speaker& speaker, std::string* registration_id) {
    if (registration_id->empty()) *registration_id = speaker.registration_id;
  }
  static void Complete(pb::AttemptStatus* status) {
    if (!status->id().job().empty()) return;
    *status->mutable_id()->mutable_job() = ToProto({.job = Job()}).job();
  }

  void CheckSubtask(SubtaskIndex index, Seen& seen) {
    const ExecutionVertex& subtask = master_->graph().at(index);
    const bool finished = subtask.state == ExecutionState::kFinished;
    FUZZ_CHECK(finished || !seen.finished, "what had finished runs again");
    FUZZ_CHECK(subtask.next_attempt >= seen.next_attempt, "attempts are counted anew");
    std::pair<uint64_t, uint32_t> attempt;
    if (subtask.execution) {
      attempt = {subtask.execution->id.epoch.value, subtask.execution->id.attempt};
      FUZZ_CHECK(attempt >= seen.attempt, "an earlier attempt is the current one again");
      FUZZ_CHECK(subtask.execution->failure.size() < 4'000, "a long story");
    }
    seen = {finished, std::max(attempt, seen.attempt), subtask.next_attempt};
  }

  void CheckOutcome() {
    if (outcome_->status == JobStatus::kFinished) {
      FUZZ_CHECK(master_->graph().all_finished(), "finished before its tasks");
    } else {
      FUZZ_CHECK(outcome_->status == JobStatus::kFailed && !outcome_->failure_cause.empty(),
                 "failed without a reason");
      FUZZ_CHECK(master_->graph().active() == 0, "it ended under living tasks");
    }
  }

  std::shared_ptr<JobMaster> master_;
  std::array<Speaker, kLiars + 1> speakers_;  // the last is honest
  uint64_t numbers_ = 0;
  std::vector<std::vector<Seen>> last_;
  std::optional<JobOutcome> outcome_;
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // a line for each string that is no UTF-8
  testing::GTEST_FLAG(break_on_failure) = true;
  return baton::log::Init("fuzz", "/dev/null", baton::log::Level::kError).ok() ? 0 : 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  World world;
  for (size_t step = 0; step < kMaxSteps && !input.empty(); ++step) {
    world.Step(input);
    world.Check();
  }
  world.BringToAnEnd();
  return 0;
}

}  // namespace baton::fuzz
