// A TaskManager's registration with the leader: finds the leader among its links, registers with
// the whole inventory, and sends heartbeats.
//
// A registration ends when the lease lapses, when it registers again, or when a newer epoch comes.
// The epoch is adopted in one place only: from the leader's own answer, together with the member
// list that contains it. What a replica announces is hearsay and only says where to register.
//
// Lives on one executor; owned by the TaskExecutor.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "rpc/messages.pb.h"
#include "rpc/rpc_link.h"
#include "taskmanager/dispatcher_links.h"
#include "taskmanager/lease_keeper.h"

namespace baton {

class LeaderRegistration : public std::enable_shared_from_this<LeaderRegistration> {
 public:
  static constexpr Duration kCallTimeout = std::chrono::seconds(5);
  static constexpr Duration kRetryDelay = std::chrono::milliseconds(200);
  // A link that says nothing for so long is made anew: its host may be gone without a word.
  static constexpr Duration kSilenceLimit = std::chrono::seconds(10);
  static constexpr int kMaxHeartbeatsInFlight = 5;

  struct Dependencies {
    ExecutorPtr executor;
    std::shared_ptr<DispatcherLinks> links;
    Duration heartbeat_interval;
  };
  struct Hooks {
    // Description and inventory; epoch and members are filled in here.
    std::function<pb::RegisterTaskManager()> make_request;
    std::function<void()> on_registered;
    // A leader or a member is at an address that may be new.
    std::function<void()> on_addresses;
  };

  LeaderRegistration(Dependencies dependencies, std::shared_ptr<LeaseKeeper> lease, Hooks hooks);

  // Sends heartbeats from now on.
  void Start();

  void OnAnnouncement(const pb::LeaderAnnouncement& announcement);
  void OnLinkOpened();
  void OnLinkClosed(const RpcLinkPtr& link);
  void OnMessage(const RpcLinkPtr& link);  // any: the other side lives
  void OnLeaseLapsed();

  // What was described has changed: this registration ends, and it registers again.
  void RegisterAgain();

  // OK if a message that came over `link` in the name of `registration_id` may be obeyed.
  absl::Status Check(const RpcLinkPtr& link, const std::string& registration_id);

  // The link of the registration; null: not registered, or the link is broken.
  RpcLinkPtr link() const { return registration_id_.empty() ? nullptr : link_; }
  // A registration is under way.
  bool registering() const { return registering_; }
  const std::string& registration_id() const { return registration_id_; }
  Epoch epoch() const { return epoch_; }
  const pb::MemberList& members() const { return members_; }
  const pb::LeaderRecord& announced() const { return announced_; }

 private:
  bool WantsToRegister() const;
  void Advance();
  void SendRegistration(const RpcLinkPtr& link);
  void OnRegistrationReply(const RpcLinkPtr& link, TimePoint sent,
                           absl::StatusOr<pb::Envelope> reply);
  absl::Status Adopt(const RpcLinkPtr& link, TimePoint sent, const pb::RegistrationReply& reply);
  void AdoptMembers(const pb::MemberList& members);
  void End(const std::string& why);
  void AdvanceLater(Duration delay);
  void Tick();
  void SendHeartbeat();
  void OnHeartbeatReply(TimePoint sent, const std::string& registration_id,
                        absl::StatusOr<pb::Envelope> reply);

  const Dependencies dependencies_;
  const std::shared_ptr<LeaseKeeper> lease_;
  const Hooks hooks_;

  // Adopted from a leader:
  Epoch epoch_;
  pb::MemberList members_;
  std::string registration_id_;  // empty: not registered
  RpcLinkPtr link_;              // of the registration; null: broken

  pb::LeaderRecord announced_;   // of the highest epoch heard of
  uint64_t register_calls_ = 0;  // numbers them: only the newest one's answer counts
  bool registering_ = false;
  Epoch registering_for_;
  bool register_again_ = false;
  std::string last_failure_;
  TimerId advance_timer_ = kNoTimer;
  int heartbeats_in_flight_ = 0;
  TimePoint last_heard_{};
};

}  // namespace baton
