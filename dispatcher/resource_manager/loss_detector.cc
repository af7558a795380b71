#include "dispatcher/resource_manager/loss_detector.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"

namespace baton {

Duration LeaseOf(const pb::TaskManagerDescription& description) {
  const int64_t longest = std::chrono::milliseconds(kLongestLease).count();
  return std::chrono::milliseconds(std::clamp<int64_t>(description.lease_ms(), 0, longest));
}

struct LossDetector::Watched {
  TaskManagerId id;
  Suspect suspect;
  TimePoint last_way2_answer;
  std::optional<TimePoint> dead_since;  // every probe since then has found the guardian dead
  bool probing = false;
  bool deciding = false;
  FrameConnectionPtr probe;
};

LossDetector::LossDetector(Dependencies dependencies, LostCallback on_lost)
    : deps_(std::move(dependencies)), on_lost_(std::move(on_lost)) {}

LossDetector::~LossDetector() {
  for (auto& [id, watched] : watched_) {
    if (watched->probe) watched->probe->Close();
  }
}

void LossDetector::Watch(const TaskManagerId& id, Suspect suspect) {
  auto [it, added] = watched_.try_emplace(id);
  if (!added) {
    auto& known = it->second->suspect;
    known.last_answered = std::max(known.last_answered, suspect.last_answered);
    known.lease = std::max(known.lease, suspect.lease);
    return;
  }
  it->second = std::make_shared<Watched>();
  it->second->id = id;
  it->second->suspect = std::move(suspect);
  log::Info("TaskManager is watched tm={} liveness={}", id.value(),
            it->second->suspect.liveness_address);
  Tick(it->second);
}

void LossDetector::Forget(const TaskManagerId& id) {
  auto node = watched_.extract(id);
  if (!node.empty() && node.mapped()->probe) node.mapped()->probe->Close();
}

bool LossDetector::IsCurrent(const WatchedPtr& watched) const {
  auto it = watched_.find(watched->id);
  return it != watched_.end() && it->second == watched;
}

TimePoint LossDetector::LeaseEnd(const Watched& watched) const {
  const Duration margin =
      Broken(Break::kLeaseMarginOmitted) ? Duration::zero() : deps_.options.margin;
  const Duration lease = std::max(deps_.options.lease, watched.suspect.lease);
  return std::max({deps_.leading_since, watched.suspect.last_answered, watched.last_way2_answer}) +
         (Broken(Break::kLeaseWaitedByHalf) ? lease / 2 : lease) + margin;
}

void LossDetector::Tick(const WatchedPtr& watched) {
  if (!IsCurrent(watched)) return;
  const TimePoint now = deps_.executor->Now();
  const Duration grace =
      Broken(Break::kGuardianGraceOmitted) ? Duration::zero() : deps_.options.guardian_grace;
  if (!watched->deciding) {
    if (watched->dead_since && now - *watched->dead_since >= grace) {
      ConfirmAndReport(watched, "its guardian is dead");
    } else if (now >= LeaseEnd(*watched)) {
      AskForLeaseAnswer(watched);
    } else if (!watched->probing && !watched->suspect.liveness_address.empty()) {
      Probe(watched);
    }
  }
  deps_.executor->PostAfter(
      deps_.options.probe_interval,
      IfAlive(weak_from_this(), [watched](LossDetector& self) { self.Tick(watched); }));
}

void LossDetector::Probe(const WatchedPtr& watched) {
  watched->probing = true;
  deps_.transport->Connect(
      watched->suspect.liveness_address, deps_.options.probe_timeout, deps_.executor,
      IfAlive(weak_from_this(), [watched](LossDetector& self, auto connection) {
        if (!self.IsCurrent(watched)) {
          if (connection.ok()) (*connection)->Close();
          return;
        }
        if (!connection.ok()) return self.OnProbed(watched, IsRefused(connection.status()));
        // The guardian answers with its incarnation and closes. A connection that says nothing
        // proves nothing.
        watched->probe = *std::move(connection);
        auto weak = self.weak_from_this();
        auto heard = std::make_shared<std::string>();
        watched->probe->Start(
            {.on_frame = [heard](std::string frame) { *heard = std::move(frame); },
             .on_closed =
                 [weak, watched, heard](absl::Status) {
                   auto alive = weak.lock();
                   if (!alive || !alive->IsCurrent(watched)) return;
                   watched->probe = nullptr;
                   alive->OnProbed(
                       watched, !heard->empty() && *heard != watched->suspect.guardian_incarnation);
                 }});
      }));
}

void LossDetector::OnProbed(const WatchedPtr& watched, bool dead) {
  watched->probing = false;
  if (!dead) {
    watched->dead_since.reset();
  } else if (!watched->dead_since) {
    watched->dead_since = deps_.executor->Now();
  }
}

void LossDetector::AskForLeaseAnswer(const WatchedPtr& watched) {
  watched->deciding = true;
  deps_.last_lease_answer(
      watched->id, BindTo(deps_.executor,
                          IfAlive(weak_from_this(),
                                  [watched](LossDetector& self, std::optional<TimePoint> answered) {
                                    if (!self.IsCurrent(watched)) return;
                                    watched->deciding = false;
                                    if (answered) watched->last_way2_answer = *answered;
                                    if (self.deps_.executor->Now() < self.LeaseEnd(*watched))
                                      return;
                                    self.ConfirmAndReport(watched, "its lease is over");
                                  })));
}

void LossDetector::ConfirmAndReport(const WatchedPtr& watched, std::string why) {
  if (Broken(Break::kLossUnconfirmed)) return Report(watched, why);
  watched->deciding = true;
  deps_.fence->Confirm(
      BindTo(deps_.executor,
             IfAlive(weak_from_this(), [watched, why](LossDetector& self, absl::Status status) {
               if (!self.IsCurrent(watched)) return;
               watched->deciding = false;
               // Paused, or deposed: the next tick tries again.
               if (status.ok()) self.Report(watched, why);
             })));
}

void LossDetector::Report(const WatchedPtr& watched, const std::string& why) {
  Forget(watched->id);
  log::Warning("TaskManager is lost tm={} why={}", watched->id.value(), why);
  on_lost_(watched->id, why);
}

}  // namespace baton
