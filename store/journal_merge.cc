#include "store/journal_merge.h"

#include <algorithm>
#include <utility>

#include "rpc/records.pb.h"
#include "store/record_journal.h"
#include "store/records.pb.h"

namespace baton {
namespace {

constexpr WallMillis kLeftBehindMs = 30 * 60 * 1000;

std::pair<uint64_t, uint64_t> VersionOf(const std::string& key, const std::string& data) {
  if (key.starts_with(RecordJournal::kJobs)) {
    pb::JobPointer pointer;
    if (pointer.ParseFromString(data)) return {pointer.epoch(), pointer.sequence()};
  } else if (key.starts_with(RecordJournal::kResults)) {
    pb::JobResult result;
    if (result.ParseFromString(data)) return {result.epoch(), 0};
  } else if (key == RecordJournal::kMembers) {
    pb::MemberList members;
    if (members.ParseFromString(data)) return {members.version(), 0};
  }
  return {0, 0};
}

}  // namespace

bool IsLaterRecord(const std::string& key, const std::string& data, const std::string& other) {
  return VersionOf(key, other) > VersionOf(key, data);
}

MergedJournal MergeJournals(const std::vector<JournalCopy>& copies) {
  MergedJournal merged;
  WallMillis freshest = 0;
  for (const JournalCopy& copy : copies) {
    freshest = std::max(freshest, copy.complete_at);
    merged.highest_epoch = std::max(merged.highest_epoch, copy.highest_epoch);
  }
  for (const JournalCopy& copy : copies) {
    if (freshest - copy.complete_at > kLeftBehindMs) {
      merged.ignored.push_back(copy.replica);
      continue;
    }
    for (const KvEntry& record : copy.records) {
      auto [it, added] = merged.records.try_emplace(record.key, record.value);
      if (!added && IsLaterRecord(record.key, it->second, record.value)) it->second = record.value;
    }
  }
  std::erase_if(merged.records, [&](const auto& record) {
    const std::string& key = record.first;
    if (!key.starts_with(RecordJournal::kJobs)) return false;
    return merged.records.contains(RecordJournal::kResults +
                                   key.substr(std::string_view(RecordJournal::kJobs).size()));
  });
  return merged;
}

}  // namespace baton
