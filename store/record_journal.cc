#include "store/record_journal.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "base/log.h"
#include "base/status.h"
#include "rpc/records.pb.h"

namespace baton {
namespace {

constexpr const char* kFamily = "records";
constexpr const char* kStateKey = "~state";  // after every path
constexpr size_t kEntriesPerPage = 1'000;

// Results never change, and of the roster only who is on it counts.
bool IsVersioned(const std::string& key) {
  return key.starts_with(RecordJournal::kJobs) || key == RecordJournal::kMembers;
}

}  // namespace

std::string RecordsFamily() { return kFamily; }

RecordJournal::RecordJournal(KvEnginePtr engine, ExecutorPtr executor, CoordinationPaths paths)
    : engine_(std::move(engine)), executor_(std::move(executor)), paths_(std::move(paths)) {}

void RecordJournal::Load(StatusCallback callback) { LoadPage("", std::move(callback)); }

void RecordJournal::LoadPage(const std::string& after, StatusCallback callback) {
  engine_->Scan(
      kFamily, after, kEntriesPerPage,
      BindTo(executor_, IfAlive(weak_from_this(), [callback = std::move(callback)](
                                                      RecordJournal& self, auto page) mutable {
               if (!page.ok()) return callback(page.status());
               for (const KvEntry& entry : *page) {
                 if (entry.key != kStateKey) {
                   self.entries_[entry.key] = Parse(entry.key, entry.value);
                 } else if (!self.meta_.ParseFromString(entry.value)) {
                   return callback(DataLoss("the state of the journal is unreadable"));
                 }
               }
               if (page->size() == kEntriesPerPage) {
                 return self.LoadPage(page->back().key, std::move(callback));
               }
               self.loaded_ = true;
               self.DropOtherTree();
               callback(absl::OkStatus());
             })));
}

// The directory was moved to another cluster: nothing of the old one holds here, least of all its
// epoch.
void RecordJournal::DropOtherTree() {
  if (!meta_.tree().empty() && meta_.tree() != paths_.base()) {
    log::Warning("the journal is of another cluster, it begins anew tree={}", meta_.tree());
    for (const auto& [key, entry] : std::exchange(entries_, {})) Write(key, std::nullopt);
    meta_.Clear();
  }
  meta_.set_tree(paths_.base());
}

RecordJournal::Entry RecordJournal::Parse(const std::string& key, const std::string& data) {
  Entry entry;
  entry.fingerprint = std::hash<std::string>()(data);
  if (key.starts_with(kJobs)) {
    pb::JobPointer pointer;
    if (pointer.ParseFromString(data)) {
      entry.epoch = pointer.epoch();
      entry.sequence = pointer.sequence();
      entry.blob = pointer.graph_digest();
    }
  } else if (key.starts_with(kResults)) {
    pb::JobResult result;
    if (result.ParseFromString(data)) {
      entry.epoch = result.epoch();
      entry.blob = result.archive_digest();
    }
  } else if (key == kMembers) {
    pb::MemberList members;
    if (members.ParseFromString(data)) entry.epoch = members.version();
  }
  return entry;
}

std::string RecordJournal::KeyOf(const std::string& path) const {
  const std::string base = paths_.base() + "/";
  if (!path.starts_with(base)) return "";
  std::string key = path.substr(base.size());
  if (key == kMembers) return key;
  const auto slashes = std::count(key.begin(), key.end(), '/');
  if (key.starts_with(kRoster)) return slashes == 1 ? key : "";
  const bool record = key.starts_with(kJobs) || key.starts_with(kResults);
  return record && slashes == 2 ? key : "";
}

void RecordJournal::Learn(const std::string& path, std::string data) {
  const std::string key = KeyOf(path);
  if (key.empty()) return;
  Entry entry = Parse(key, data);
  if (auto known = entries_.find(key); known != entries_.end()) {
    const Entry& old = known->second;
    // An unreadable pointer has no version: a readable one that is known is worth more.
    const bool older = std::pair(entry.epoch, entry.sequence) < std::pair(old.epoch, old.sequence);
    if (entry.fingerprint == old.fingerprint || (older && IsVersioned(key))) return;
  }
  entry.learned = ++last_mark_;
  entries_[key] = std::move(entry);
  Write(key, std::move(data));
}

void RecordJournal::Forget(const std::string& path) {
  const std::string key = KeyOf(path);
  if (entries_.erase(key) != 0) Write(key, std::nullopt);
}

void RecordJournal::Apply(const std::vector<CoordinationOp>& ops) {
  for (const CoordinationOp& op : ops) {
    switch (op.type) {
      case CoordinationOp::Type::kCreate:
      case CoordinationOp::Type::kSet:
        Learn(op.path, op.data);
        break;
      case CoordinationOp::Type::kDelete:
        Forget(op.path);
        break;
      case CoordinationOp::Type::kCheck:
        break;
    }
  }
}

void RecordJournal::NoteEpoch(Epoch epoch) {
  if (epoch.value <= meta_.highest_epoch()) return;
  meta_.set_highest_epoch(epoch.value);
  WriteState();
}

void RecordJournal::ForgetUnlisted(const std::string& folder, const std::set<std::string>& listed,
                                   Mark since) {
  std::vector<std::string> gone;
  for (auto it = entries_.lower_bound(folder); it != entries_.end(); ++it) {
    const auto& [key, entry] = *it;
    if (!key.starts_with(folder)) break;
    const bool shown = listed.contains(paths_.base() + "/" + key);
    if (!shown && entry.learned <= since) gone.push_back(key);
  }
  for (const std::string& key : gone) {
    entries_.erase(key);
    Write(key, std::nullopt);
  }
}

void RecordJournal::NoteComplete() {
  meta_.set_complete_at_ms(executor_->WallNow());
  WriteState();
}

bool RecordJournal::Knows(const std::string& path) const { return entries_.contains(KeyOf(path)); }

LiveBlobs RecordJournal::live_blobs() const {
  LiveBlobs live;
  for (const auto& [key, entry] : entries_) {
    if (entry.blob.empty()) continue;
    live.emplace(key.starts_with(kJobs) ? BlobKind::kJobGraph : BlobKind::kArchivedExecution,
                 entry.blob);
  }
  return live;
}

void RecordJournal::ReadPage(const std::string& after, size_t limit, PageCallback callback) {
  engine_->Scan(kFamily, after, limit,
                BindTo(executor_, [callback = std::move(callback)](auto page) mutable {
                  if (page.ok()) {
                    std::erase_if(*page, [](const auto& entry) { return entry.key == kStateKey; });
                  }
                  callback(std::move(page));
                }));
}

void RecordJournal::Write(const std::string& key, std::optional<std::string> value) {
  std::vector<KvWrite> writes;
  writes.push_back({kFamily, key, std::move(value)});
  engine_->Write(
      std::move(writes),
      BindTo(executor_,
             IfAlive(weak_from_this(), [key](RecordJournal& self, const absl::Status& status) {
               if (status.ok()) return;
               self.entries_.erase(key);
               log::Warning("journal is behind record={} error=\"{}\"", key, Message(status));
             })));
}

void RecordJournal::WriteState() { Write(kStateKey, meta_.SerializeAsString()); }

}  // namespace baton
