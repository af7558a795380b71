// The tree in ZooKeeper, with any bytes in any of its records: the election, the stores, the roster
// and the journal of a replica that finds it so.
//
// Epochs never go back (P3); a job whose result cannot be read is never said not to have ended
// (P6); one bad record hides no other (P7); a TaskManager that may hold tasks stays on the roster.

#include <google/protobuf/stubs/logging.h>

#include "base/log.h"
#include "dispatcher/resource_manager/roster.h"
#include "ha/leader_election.h"
#include "rpc/records.pb.h"
#include "store/tree_reading.h"
#include "tests/fuzz/fuzz.h"
#include "tests/store/leader_fixture.h"

namespace baton::fuzz {
namespace {

const std::string kJobHex = "0123456789abcdef0123456789abcdef";

enum Record : uint8_t { kEpoch, kLeader, kMembers, kReplica, kJob, kResult, kRoster, kCount };

class Contender final : public LeaderContender {
 public:
  void OnGrant(const pb::LeaderRecord& record, LeaderFencePtr granted) override {
    FUZZ_CHECK(!fence, "granted twice");
    granted_epoch = record.epoch();
    fence = std::move(granted);
  }
  void OnRevoke(Epoch, const absl::Status&) override { fence = nullptr; }

  uint64_t granted_epoch = 0;
  LeaderFencePtr fence;
};

class World final : public LeaderFixture {
 public:
  World() {
    // Not all the folders of Prepare: they would take most of the time.
    for (const std::string& folder :
         {paths_.replicas(), paths_.jobs(), paths_.jobs() + "/" + Job().Bucket(), paths_.results(),
          paths_.results() + "/" + Job().Bucket(), paths_.roster()}) {
      MakeNode(folder, "");
    }
    MakeNeighbours();
  }
  void TestBody() override {}

  void Damage(Record node, const std::string& data) {
    present_[node] = data;
    switch (node) {
      case kEpoch:
        return Overwrite(paths_.epoch(), data);
      case kLeader:
        return MakeNode(paths_.leader(), data);
      case kMembers:
        return MakeNode(paths_.members(), data);
      case kReplica:
        return MakeNode(paths_.replica(ReplicaId("b")), data);
      case kJob:
        return MakeNode(paths_.job(Job()), data);
      case kResult:
        return MakeNode(paths_.result(Job()), data);
      default:
        return MakeNode(paths_.roster(TaskManagerId("tm-1")), data);
    }
  }

  void CheckStores() {
    const auto pointers = List();
    FUZZ_CHECK(pointers.ok(), pointers.status().ToString());
    FUZZ_CHECK(pointers->size() == 1 + present_.count(kJob), "a pointer is hidden");
    for (const auto& found : *pointers) {
      const bool sound = found.id == SoundJob();
      FUZZ_CHECK(found.pointer.ok() || !sound, "a sound pointer cannot be read");
      if (!found.pointer.ok()) continue;
      const auto graph = Run<absl::StatusOr<JobGraphPtr>>(
          [&](auto done) { graphs_->LoadGraph(*found.pointer, std::move(done)); });
      const bool stored = found.pointer->graph_digest() == sound_digest_;
      FUZZ_CHECK(graph.ok() == stored, "a graph that nobody stored, or not the one that was");
      const absl::Status updated = Update(found.id, *found.pointer);
      FUZZ_CHECK(deposed_ > 0 || updated.ok() || absl::IsResourceExhausted(updated),
                 updated.ToString());
    }
    const absl::Status loaded = LoadHistory();
    FUZZ_CHECK(loaded.ok(), loaded.ToString());
    ListResults();
    const auto result = Find(Job());
    FUZZ_CHECK(present_.contains(kResult) == !(result.ok() && !result->has_value()),
               "a job that ended is said not to have");
    const auto ended = Find(SoundEnded());
    FUZZ_CHECK(ended.ok() && ended->has_value() && (*ended)->outcome() == "FINISHED",
               "the neighbour of a bad result is hidden");
  }

  void CheckRoster() {
    auto roster = std::make_shared<Roster>(fence_, executor_);
    const auto entries = Run<absl::StatusOr<std::vector<pb::TaskManagerDescription>>>(
        [&](auto done) { roster->Load(std::move(done)); });
    FUZZ_CHECK(entries.ok() && entries->size() == 1 + present_.count(kRoster), "not the roster");
    for (const auto& entry : *entries) {
      FUZZ_CHECK(entry.id() == "tm-1" || entry.SerializeAsString() == Sound().SerializeAsString(),
                 entry.ShortDebugString());
    }
  }

  void CheckJournal() {
    std::vector<std::string> families = BlobFamilies();
    families.push_back(RecordsFamily());
    auto engine = std::make_shared<FakeKvEngine>(disk_, executor_, families);
    auto journal = std::make_shared<RecordJournal>(engine, executor_, paths_);
    const auto loaded = Run<absl::Status>([&](auto done) { journal->Load(std::move(done)); });
    FUZZ_CHECK(loaded.ok(), loaded.ToString());
    const auto read =
        Run<absl::Status>([&](auto done) { ReadTree(client_, paths_, journal, std::move(done)); });
    if (read.ok()) {
      FUZZ_CHECK(journal->Knows(paths_.job(Job())) == present_.contains(kJob), "");
      FUZZ_CHECK(journal->Knows(paths_.result(Job())) == present_.contains(kResult), "");
      FUZZ_CHECK(journal->Knows(paths_.job(SoundJob())), "a sound pointer is not in the journal");
      FUZZ_CHECK(journal->Knows(paths_.result(SoundEnded())), "a sound result is not in it");
    }
    journal->live_blobs();
    Settle();
  }

  // What `epoch` or `leader` says, for who can read it.
  uint64_t EpochSaid(Record node) const {
    pb::LeaderRecord record;
    const auto it = present_.find(node);
    return it != present_.end() && record.ParseFromString(it->second) ? record.epoch() : 0;
  }

  void CheckElection() {
    Contender contender;
    pb::ReplicaRecord self;
    self.set_replica_id("a");
    self.set_incarnation("a-life");
    self.set_rpc_address("a:6123");
    auto executor = scheduler_.NewExecutor("a");
    auto client = NewEmbeddedClient(server_, executor, std::chrono::seconds(10));
    auto election = NewLeaderElection({client, executor, paths_, self, {}, NewSeededRandom(5)});
    executor->Post([&] {
      election->AddListener([this](const LeadershipView& view) { last_view_ = view; });
      election->Start(&contender);
    });
    scheduler_.AdvanceBy(std::chrono::seconds(15));
    if (contender.fence) {
      FUZZ_CHECK(contender.granted_epoch > EpochSaid(kEpoch), "an epoch came again");
      FUZZ_CHECK(EpochSaid(kLeader) == 0, "granted beside a leader");
    }
    bool stopped = false;
    executor->Post([&] { election->Stop([&] { stopped = true; }); });
    FUZZ_CHECK(scheduler_.RunUntil([&] { return stopped; }, std::chrono::minutes(2)), "no end");
  }

 private:
  static JobId Job() { return *JobId::Parse(kJobHex); }
  // In the same folders, and never spoiled: a live job, one that has ended, a TaskManager.
  static JobId SoundJob() { return *JobId::Parse("0" + std::string(31, 'a')); }
  static JobId SoundEnded() { return *JobId::Parse("0" + std::string(31, 'e')); }
  static pb::TaskManagerDescription Sound() {
    pb::TaskManagerDescription description;
    description.set_id("tm-sound");
    description.set_slots(2);
    return description;
  }

  void MakeNeighbours() {
    const auto pointer = Add(SoundJob());
    FUZZ_CHECK(pointer.ok() && Add(SoundEnded()).ok(), "a submission is refused");
    sound_digest_ = pointer->graph_digest();
    FUZZ_CHECK(Commit(SoundEnded(), ResultNow()).ok(), "a result is refused");
    MakeNode(paths_.roster(TaskManagerId("tm-sound")), Sound().SerializeAsString());
  }

  void MakeNode(const std::string& path, const std::string& data) {
    const auto made = Run<absl::Status>(
        [&](auto done) { other_->Create(path, data, NodeKind::kPersistent, std::move(done)); });
    if (absl::IsAlreadyExists(made)) return Overwrite(path, data);
    FUZZ_CHECK(made.ok(), path + ": " + made.ToString());
  }

  std::map<Record, std::string> present_;
  std::string sound_digest_;
  LeadershipView last_view_;
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
  while (!input.empty()) {
    const auto node = static_cast<Record>(input.Byte() % kCount);
    world.Damage(node, input.Piece());
  }
  world.CheckStores();
  world.CheckRoster();
  world.CheckJournal();
  world.CheckElection();
  return 0;
}

}  // namespace baton::fuzz
