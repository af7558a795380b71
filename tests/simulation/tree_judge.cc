#include "tests/simulation/tree_judge.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace baton {
namespace {

// "…/jobs/a/ab12…" below "…/jobs": the id. None: another kind of node.
std::optional<JobId> JobOf(const std::string& folder, const std::string& path) {
  constexpr size_t kBucketLength = 3;  // "/a/"
  if (!path.starts_with(folder + "/") || path.size() <= folder.size() + kBucketLength) return {};
  auto id = JobId::Parse(path.substr(folder.size() + kBucketLength));
  if (!id.ok()) return {};
  return *id;
}

}  // namespace

void TreeJudge::Append(JournalRecord record, AppendCallback callback) {
  touched_.clear();
  // What a transaction made and took back was never there (a pointer is made with its result's node
  // in the same one, to find out whether that stands).
  std::map<std::string, Data> last;
  for (auto& [path, node] : record.nodes) last[path] = std::move(node);
  for (const auto& [path, node] : last) See(path, node);
  CheckEndings();
  callback(absl::OkStatus());
}

void TreeJudge::See(const std::string& path, const Data& node) {
  if (path == paths_.epoch()) return SeeEpoch(node);
  if (path == paths_.members()) return SeeMembers(node);
  if (const auto job = JobOf(paths_.jobs(), path)) return SeePointer(*job, node);
  if (const auto job = JobOf(paths_.results(), path)) return SeeResult(*job, node);
  if (path.starts_with(paths_.roster() + "/")) {
    const std::string worker = path.substr(paths_.roster().size() + 1);
    if (node) {
      roster_.insert(worker);
    } else {
      roster_.erase(worker);
      if (listener_.on_delisted) listener_.on_delisted(worker);
    }
  }
}

void TreeJudge::SeeEpoch(const Data& node) {
  pb::LeaderRecord record;
  if (!node || !record.ParseFromString(node->data)) {
    return violated_("I3", "the epoch's record is gone");
  }
  if (record.epoch() == epoch_) {  // a hand-over is noted in it
    if (record.incarnation() == incarnation_) return;
    violated_("I3",
              fmt::format("{} leads epoch {} after {} did", record.replica_id(), epoch_, leader_));
  }
  if (record.epoch() != epoch_ + 1 && record.epoch() != epoch_) {
    violated_("I3", fmt::format("epoch {} follows epoch {}", record.epoch(), epoch_));
  }
  const std::string winner = record.replica_id() + "@" + record.rpc_address();
  if (has_members_ && !members_.contains(winner)) {
    violated_("I3", fmt::format("{} leads epoch {} and is no member", winner, record.epoch()));
  }
  const bool is_new = record.epoch() > epoch_;
  epoch_ = std::max<uint64_t>(epoch_, record.epoch());
  const std::string previous = std::exchange(leader_, record.replica_id());
  incarnation_ = record.incarnation();
  if (is_new && on_elected_) on_elected_(record, previous);
}

std::set<std::string> TreeJudge::member_ids() const {
  std::set<std::string> ids;
  for (const std::string& member : members_) ids.insert(member.substr(0, member.find('@')));
  return ids;
}

void TreeJudge::SeeMembers(const Data& node) {
  pb::MemberList list;
  if (!node || !list.ParseFromString(node->data)) {
    return violated_("I3", "the list of members is gone");
  }
  has_members_ = true;
  members_.clear();
  for (const auto& member : list.members()) {
    members_.insert(member.replica_id() + "@" + member.rpc_address());
  }
}

void TreeJudge::SeePointer(const JobId& job, const Data& node) {
  if (excused_.contains(job)) return;
  touched_.insert(job);
  if (!node) {
    pointers_.erase(job);
    return;
  }
  pb::JobPointer pointer;
  if (!pointer.ParseFromString(node->data)) {
    return violated_("I8", job.ToString() + ": the pointer is unreadable");
  }
  if (pointer.epoch() != epoch_) {
    violated_("I3", fmt::format("{}: the leader of epoch {} writes in epoch {}", job.ToString(),
                                pointer.epoch(), epoch_));
  }
  if (pointer.name().starts_with("posted-")) {
    const auto [known, first] = names_.emplace(pointer.name(), job);
    if (!first && known->second != job) {
      violated_("I2", fmt::format("{} was submitted once, and runs as {} and {}", pointer.name(),
                                  known->second.ToString(), job.ToString()));
    }
  }
  if (!pointers_.contains(job)) CheckCommitted(job, pointer);
  pointers_[job] = std::move(pointer);
}

void TreeJudge::CheckCommitted(const JobId& job, const pb::JobPointer& pointer) const {
  const size_t copies = copies_->Copies(pointer.graph_digest());
  if (copies >= min_copies_ || LostOneMeanwhile(job, pointer)) return;
  violated_("I8",
            fmt::format("{} is committed with {} copies of its graph", job.ToString(), copies));
}

// Between the last synced copy and the commit lies time: the coordination service may be away, the
// transaction under way or of unknown outcome. A disk that is lost then takes a copy with it that
// the leader has counted, and the commit, which nobody can call back, goes through without it. That
// is the one disk that docs/failure-model.md assumes may be lost until the copies have been made
// again (they are, as for any pointer: CheckCopies, FewestCopies). So no more than that: every
// missing copy stood on a disk, was put there for this very job (since it was first sent; one that
// an earlier job had there may not be counted), was taken by an injected fault and not by a process
// of ours, is the only one that is missing, and is not the last.
bool TreeJudge::LostOneMeanwhile(const JobId& job, const pb::JobPointer& pointer) const {
  auto sent = first_sent_.find(job.ToString());
  if (sent == first_sent_.end()) sent = first_sent_.find(pointer.name());
  if (sent == first_sent_.end()) return false;
  const std::string& digest = pointer.graph_digest();
  const size_t copies = copies_->Copies(digest);
  return copies > 0 && copies + 1 >= min_copies_ &&
         copies_->CopiesOrLost(digest, sent->second) >= min_copies_;
}

void TreeJudge::SeeResult(const JobId& job, const Data& node) {
  if (excused_.contains(job)) return;
  touched_.insert(job);
  if (!node) {
    if (outcomes_.contains(job)) violated_("I7", job.ToString() + ": its result is gone");
    return;
  }
  pb::JobResult result;
  if (!result.ParseFromString(node->data)) {
    return violated_("I7", job.ToString() + ": its result is unreadable");
  }
  if (result.epoch() != epoch_) {
    violated_("I3", fmt::format("{}: the leader of epoch {} ends it in epoch {}", job.ToString(),
                                result.epoch(), epoch_));
  }
  const auto [known, added] = outcomes_.emplace(job, result.outcome());
  if (known->second != result.outcome()) {
    violated_("I7",
              fmt::format("{}: {} became {}", job.ToString(), known->second, result.outcome()));
  }
  if (added && listener_.on_result) listener_.on_result(job, result.outcome());
}

// A job moves in one transaction: nobody ever sees it in both places, or in none.
void TreeJudge::CheckEndings() {
  for (const JobId& job : touched_) {
    const bool ended = outcomes_.contains(job);
    if (pointers_.contains(job) == ended) {
      violated_("I1", job.ToString() + (ended ? " has a result, and is still to be run"
                                              : " is gone, without a result"));
    }
  }
}

void TreeJudge::CheckCopies() const {
  for (const auto& [job, pointer] : pointers_) {
    if (excused_.contains(job) || copies_->Copies(pointer.graph_digest()) > 0) continue;
    violated_("I8", job.ToString() + ": no disk holds its graph any more");
  }
}

void TreeJudge::OnGraphDeleted(const std::string& digest, const std::string& replica) const {
  for (const auto& [job, pointer] : pointers_) {
    if (excused_.contains(job) || pointer.graph_digest() != digest) continue;
    violated_("I8", fmt::format("{} deletes the graph of {}", replica, job.ToString()));
  }
}

size_t TreeJudge::FewestCopies() const {
  size_t fewest = SIZE_MAX;
  for (const auto& [job, pointer] : pointers_) {
    if (!excused_.contains(job)) fewest = std::min(fewest, copies_->Copies(pointer.graph_digest()));
  }
  return fewest;
}

bool TreeJudge::Knows(const JobId& job) const {
  return pointers_.contains(job) || outcomes_.contains(job);
}

std::string TreeJudge::OutcomeOf(const JobId& job) const {
  const auto outcome = outcomes_.find(job);
  return outcome == outcomes_.end() ? "" : outcome->second;
}

std::string TreeJudge::NameOf(const JobId& job) const {
  const auto pointer = pointers_.find(job);
  return pointer == pointers_.end() ? "" : pointer->second.name();
}

bool TreeJudge::IsFinished(const JobId& job, uint32_t vertex, uint32_t subtask) const {
  const auto pointer = pointers_.find(job);
  if (pointer == pointers_.end()) return false;
  for (const pb::VertexProgress& progress : pointer->second.progress()) {
    if (progress.vertex() != vertex) continue;
    for (int i = 0; i < progress.finished_from_size() && i < progress.finished_to_size(); ++i) {
      if (progress.finished_from(i) <= subtask && subtask < progress.finished_to(i)) return true;
    }
  }
  return false;
}

}  // namespace baton
