// Sees every change of the coordination service's tree at the instant at which it is committed, as
// the journal that is told of it, and judges what stands there.
//
//   I1 a pointer goes only when its result comes   I3 epochs grow by one; what is written carries
//   I7 a result never changes or goes              the newest (jobs, results); a member leads
//   I8 what a pointer names is on min-copies disks when it is committed, but for one that a fault
//      took meanwhile, and on one ever after; no replica deletes it
//
// Single-threaded, as the simulation is. Keeps the records it has seen, so that others may ask.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/ids.h"
#include "ha/journal.h"
#include "ha/paths.h"
#include "rpc/records.pb.h"
#include "store/records.pb.h"
#include "tests/simulation/copy_ledger.h"
#include "tests/simulation/violation.h"

namespace baton {

class TreeJudge final : public Journal {
 public:
  struct Listener {
    std::function<void(const JobId& job, const std::string& outcome)> on_result;
    std::function<void(const std::string& worker)> on_delisted;  // it is on the roster no more
  };

  TreeJudge(CoordinationPaths paths, std::shared_ptr<const CopyLedger> copies,
            OnViolation on_violation)
      : paths_(std::move(paths)), copies_(std::move(copies)), violated_(std::move(on_violation)) {}

  void Listen(Listener listener) { listener_ = std::move(listener); }
  // A new epoch begins; `previous` led before (empty: nobody).
  using OnElected =
      std::function<void(const pb::LeaderRecord& winner, const std::string& previous)>;
  void ListenToElections(OnElected on_elected) { on_elected_ = std::move(on_elected); }
  void DemandCopies(size_t copies) { min_copies_ = copies; }
  // It is sent for the first time: under its id, or under its name where it has none yet.
  void OnFirstSent(const std::string& id_or_name, TimePoint now) {
    first_sent_.emplace(id_or_name, now);
  }
  // Somebody else writes to this job's record: nothing holds for it any more.
  void Excuse(const JobId& job) { excused_.insert(job); }
  bool IsExcused(const JobId& job) const { return excused_.contains(job); }

  // Journal: nothing is lost here, and nothing waits.
  void Append(JournalRecord record, AppendCallback callback) override;
  void Load(LoadCallback callback) override { callback(TreeImage()); }

  // A replica has taken it off its disk: never while a pointer names it.
  void OnGraphDeleted(const std::string& digest, const std::string& replica) const;
  // Every pointer's graph is readable somewhere, at this instant.
  void CheckCopies() const;
  // The fewest undamaged copies of any pointer's graph; SIZE_MAX without pointers.
  size_t FewestCopies() const;
  // One disk is lost at a time: the next when the copies have been made again, also those of a
  // graph whose pointer may be under way (the leader has counted them, and counts no more).
  bool MayLoseADisk() const { return FewestCopies() >= 2 && !copies_->IsAnyShort(min_copies_); }

  uint64_t epoch() const { return epoch_; }
  const std::string& leader() const { return leader_; }  // of the last election
  bool Knows(const JobId& job) const;                    // a pointer or a result
  bool HasPointer(const JobId& job) const { return pointers_.contains(job); }
  std::string OutcomeOf(const JobId& job) const;  // empty: there is none yet
  std::string NameOf(const JobId& job) const;     // empty: it has no pointer
  bool IsOnRoster(const std::string& worker) const { return roster_.contains(worker); }
  // It has finished, and no leader will forget it.
  bool IsFinished(const JobId& job, uint32_t vertex, uint32_t subtask) const;
  const std::map<JobId, pb::JobPointer>& pointers() const { return pointers_; }
  size_t results() const { return outcomes_.size(); }
  size_t members() const { return members_.size(); }
  std::set<std::string> member_ids() const;

 private:
  using Data = std::optional<NodeData>;

  void See(const std::string& path, const Data& node);
  void SeeEpoch(const Data& node);
  void SeeMembers(const Data& node);
  void SeePointer(const JobId& job, const Data& node);
  void SeeResult(const JobId& job, const Data& node);
  void CheckCommitted(const JobId& job, const pb::JobPointer& pointer) const;
  bool LostOneMeanwhile(const JobId& job, const pb::JobPointer& pointer) const;
  void CheckEndings();

  const CoordinationPaths paths_;
  const std::shared_ptr<const CopyLedger> copies_;
  const OnViolation violated_;
  Listener listener_;
  OnElected on_elected_;
  size_t min_copies_ = 0;

  uint64_t epoch_ = 0;
  std::string leader_;
  std::string incarnation_;  // of the leader
  bool has_members_ = false;
  std::set<std::string> members_;  // id@address
  std::set<std::string> roster_;
  std::map<JobId, pb::JobPointer> pointers_;
  std::map<std::string, JobId> names_;  // of jobs that were submitted without an id
  std::map<JobId, std::string> outcomes_;
  std::map<std::string, TimePoint> first_sent_;  // by id, or by name
  std::set<JobId> excused_;
  std::set<JobId> touched_;  // by the record that is being looked at
};

}  // namespace baton
