// What the code reads from disks and ZooKeeper, through the functions that read it: job graphs,
// pointers with their progress, archives, journals, blobs with their stamps.
//
// Bytes that were damaged, or written by another version, are refused or mean something; what they
// mean is written the same way again; one bad record takes no other with it (P7).

#include <google/protobuf/stubs/logging.h>

#include <optional>

#include "base/digest.h"
#include "base/log.h"
#include "base/manual_executor.h"
#include "dispatcher/archive.h"
#include "dispatcher/job_master/execution_graph.h"
#include "ha/embedded_coordination.h"
#include "job/job_graph.h"
#include "store/journal_merge.h"
#include "store/kv_journal.h"
#include "store/local_blob_store.h"
#include "store/record_journal.h"
#include "store/replica_store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/store/fake_kv_engine.h"

namespace baton::fuzz {
namespace {

// More are stored only by clusters that were configured for them; here they cost time.
constexpr uint64_t kMaxSubtasks = 20'000;

void ReadGraph(Input& input) {
  const auto graph = FromStored(input.Rest());
  if (!graph.ok()) return;
  const std::string stored = ToStored(**graph);
  const auto again = FromStored(stored);
  FUZZ_CHECK(again.ok(), again.status().ToString());
  FUZZ_CHECK(ToStored(**again) == stored, "the stored form is another one the second time");
}

void ReadPointer(Input& input) {
  pb::JobPointer pointer;
  if (!pointer.ParseFromString(input.Piece())) return;
  const auto graph = FromStored(input.Rest());
  if (!graph.ok() || (*graph)->TotalSubtasks() > kMaxSubtasks) return;
  ExecutionGraph execution(JobId(), *graph);
  if (!execution.ReadProgress(pointer)) return;
  uint64_t sum = 0;
  for (const uint32_t count : execution.Counts()) sum += count;
  FUZZ_CHECK(sum == execution.total(), "subtasks that are in two states, or in none");
  pb::JobPointer written;
  execution.WriteProgress(&written);
  ExecutionGraph second(JobId(), *graph);
  FUZZ_CHECK(second.ReadProgress(written), written.ShortDebugString());
  pb::JobPointer again;
  second.WriteProgress(&again);
  FUZZ_CHECK(again.SerializeAsString() == written.SerializeAsString(), again.ShortDebugString());
  // As a job does that goes on from there.
  second.QueueConsumable(1);
  while (second.ready_count() > 0) {
    second.RestoreFinished(second.TakeReady());
  }
  FUZZ_CHECK(second.all_finished(), "a job that does not come to its end");
}

void ReadArchive(Input& input) {
  pb::JobResult result;
  if (!result.ParseFromString(input.Piece())) return;
  const JobOverview overview = OverviewOf(result);
  CountInto(overview, &result);
  const auto job = FromArchive(input.Rest(), result);
  if (job.ok()) FUZZ_CHECK(job->details.vertices.size() == job->details.graph->vertices.size(), "");
}

std::string KeyOfRecord(uint8_t kind, const std::string& id) {
  switch (kind % 4) {
    case 0:
      return RecordJournal::kJobs + std::string("00/") + id;
    case 1:
      return RecordJournal::kResults + std::string("00/") + id;
    case 2:
      return RecordJournal::kRoster + id;
    default:
      return RecordJournal::kMembers;
  }
}

// Of two records of one key at most one is the later.
void CheckOrder(const std::vector<JournalCopy>& copies) {
  for (const auto& one : copies) {
    for (const auto& other : copies) {
      for (const auto& a : one.records) {
        for (const auto& b : other.records) {
          if (a.key != b.key) continue;
          FUZZ_CHECK(
              !IsLaterRecord(a.key, a.value, b.value) || !IsLaterRecord(a.key, b.value, a.value),
              "each is later than the other: " + a.key);
        }
      }
    }
  }
}

void MergeCopies(Input& input) {
  std::vector<JournalCopy> copies(1 + input.Byte() % 3);
  for (auto& copy : copies) {
    copy.replica = std::string(1, static_cast<char>('a' + (&copy - copies.data())));
    copy.highest_epoch = Epoch{input.Byte()};
    copy.complete_at = input.Byte() * 60'000;
    for (int left = input.Byte() % 4; left > 0; --left) {
      const uint8_t kind = input.Byte();
      copy.records.push_back({KeyOfRecord(kind, std::to_string(kind / 16)), input.Piece()});
    }
  }
  CheckOrder(copies);
  const MergedJournal merged = MergeJournals(copies);
  for (const auto& [key, value] : merged.records) {
    for (const auto& copy : copies) {
      const bool ignored = std::find(merged.ignored.begin(), merged.ignored.end(), copy.replica) !=
                           merged.ignored.end();
      for (const auto& record : copy.records) {
        if (ignored || record.key != key) continue;
        FUZZ_CHECK(!IsLaterRecord(key, value, record.value), "an older record won: " + key);
      }
    }
  }
}

// A replica's disk whose bytes are the input's.
class Disk {
 public:
  explicit Disk(std::vector<std::string> families) {
    families.push_back(JournalFamily());
    engine_ = std::make_shared<FakeKvEngine>(disk_, executor_, families);
  }
  ~Disk() { executor_->Kill(); }

  void Put(const std::string& family, std::string key, std::string value) {
    std::vector<KvWrite> writes;
    writes.push_back({family, std::move(key), std::move(value)});
    engine_->Write(std::move(writes), [](absl::Status) {});
    Settle();
  }
  template <class T, class F>
  T Await(F start) {
    std::optional<T> answer;
    start([&answer](T value) {
      FUZZ_CHECK(!answer, "answered twice");
      answer.emplace(std::move(value));
    });
    FUZZ_CHECK(scheduler_.RunUntil([&] { return answer.has_value(); }, std::chrono::minutes(1)),
               "no answer");
    return *std::move(answer);
  }
  void Settle() { scheduler_.AdvanceBy(std::chrono::milliseconds(5)); }

  const KvEnginePtr& engine() const { return engine_; }
  const std::shared_ptr<ManualExecutor>& executor() const { return executor_; }
  ManualScheduler& scheduler() { return scheduler_; }

 private:
  ManualScheduler scheduler_{1};
  std::shared_ptr<ManualExecutor> executor_ = scheduler_.NewExecutor("disk");
  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  KvEnginePtr engine_;
};

void ReadRecordJournal(Input& input) {
  Disk disk(StoreFamilies());
  const CoordinationPaths paths("/baton", "c");
  const bool has_state = input.Byte() % 4 == 0;
  if (has_state) disk.Put(RecordsFamily(), "~state", input.Piece());
  std::set<std::string> keys;
  while (!input.empty()) {
    const uint8_t kind = input.Byte();
    const std::string key = KeyOfRecord(kind, std::to_string(kind / 16));
    keys.insert(key);
    disk.Put(RecordsFamily(), key, input.Piece());
  }
  auto journal = std::make_shared<RecordJournal>(disk.engine(), disk.executor(), paths);
  const auto loaded = disk.Await<absl::Status>([&](auto done) { journal->Load(std::move(done)); });
  // Only its own state may say that it is another cluster's, or be unreadable.
  FUZZ_CHECK(loaded.ok() || has_state, loaded.ToString());
  if (!loaded.ok()) return;
  FUZZ_CHECK(journal->size() == keys.size() || (has_state && journal->size() == 0),
             "a record is lost");
  journal->live_blobs();
  // A readable record that is newer always replaces what was found.
  pb::JobPointer newer;
  newer.set_epoch(UINT64_MAX);
  newer.set_sequence(UINT64_MAX);
  newer.set_graph_digest("d");
  const std::string path = paths.base() + "/" + KeyOfRecord(0, "0");
  journal->Learn(path, newer.SerializeAsString());
  FUZZ_CHECK(journal->Knows(path), "a record is not learned");
  disk.Settle();
  journal->Forget(path);
  FUZZ_CHECK(!journal->Knows(path), "a record is not forgotten");
  disk.Settle();
}

void ReadKvJournal(Input& input) {
  Disk disk({});
  std::set<std::string> nodes;
  while (!input.empty()) {
    static const char* const kPaths[] = {"head",           "/baton",        "/baton/c",
                                         "/baton/c/epoch", "/baton/c/jobs", "/baton/c/members"};
    const std::string path = kPaths[input.Byte() % std::size(kPaths)];
    if (path != "head") nodes.insert(path);
    disk.Put(JournalFamily(), path, input.Piece());
  }
  const JournalPtr journal = NewKvJournal(disk.engine());
  auto recovered = disk.Await<absl::StatusOr<EmbeddedCoordinationServerPtr>>(
      [&](auto done) { RecoverEmbeddedCoordination(disk.executor(), journal, std::move(done)); });
  if (!recovered.ok()) return;
  auto client = NewEmbeddedClient(*recovered, disk.executor(), std::chrono::seconds(10));
  client->Start([](SessionEvent) {});
  disk.Settle();
  for (const std::string& path : nodes) {
    const auto node = disk.Await<absl::StatusOr<NodeData>>(
        [&](auto done) { client->Get(path, nullptr, std::move(done)); });
    FUZZ_CHECK(node.ok(), "a node is lost: " + path);
    const auto set = disk.Await<absl::StatusOr<NodeStat>>(
        [&](auto done) { client->Set(path, "new", node->stat.version, std::move(done)); });
    FUZZ_CHECK(set.ok(), "a node cannot be mended: " + path + ": " + set.status().ToString());
  }
  client->Close();
  disk.Settle();
}

void ReadBlobs(Input& input) {
  Disk disk(BlobFamilies());
  const LocalBlobStorePtr blobs = NewLocalBlobStore(disk.engine(), disk.executor());
  const std::string kind(ToString(BlobKind::kJobGraph));
  std::string bytes = input.Piece();
  const std::string digest = input.Byte() % 2 == 0 ? Sha256Hex(bytes) : "d" + input.Piece();
  disk.Put(kind, digest, bytes);
  disk.Put("blob-stamp", kind + "/" + digest, input.Piece());
  const auto read = disk.Await<absl::StatusOr<std::string>>(
      [&](auto done) { blobs->Get(BlobKind::kJobGraph, digest, std::move(done)); });
  FUZZ_CHECK(!read.ok() || Sha256Hex(*read) == digest, "wrong bytes are served");
  const auto page = disk.Await<absl::StatusOr<std::vector<StoredBlob>>>(
      [&](auto done) { blobs->List(BlobKind::kJobGraph, "", 10, std::move(done)); });
  FUZZ_CHECK(page.ok() && page->size() == 1, page.status().ToString());
  FUZZ_CHECK((*page)[0].untouched >= Duration::zero(), "touched in the future");
  const auto gone = disk.Await<absl::Status>([&](auto done) {
    blobs->Collect(BlobKind::kJobGraph, digest, (*page)[0].stamp, std::move(done));
  });
  FUZZ_CHECK(gone.ok() || (*page)[0].stamp.empty(), gone.ToString());
}

using Reader = void (*)(Input&);
constexpr Reader kReaders[] = {ReadGraph,         ReadPointer,   ReadArchive, MergeCopies,
                               ReadRecordJournal, ReadKvJournal, ReadBlobs};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // a line for each string that is no UTF-8
  return baton::log::Init("fuzz", "/dev/null", baton::log::Level::kError).ok() ? 0 : 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  kReaders[input.Byte() % std::size(kReaders)](input);
  return 0;
}

}  // namespace baton::fuzz
