// One round of way 2 of docs/protocols.md, 3.6: asks every member whether somebody may lead.
//
// Each must answer that it does not lead and has seen no epoch above the asker's, or refuse the
// connection at its listed address. Silence, another replica at that address, or any other error
// counts as "somebody may lead".
//
// Lives on one executor; keeps itself alive until its callback, which comes in bounded time.

#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/ids.h"
#include "rpc/frame_transport.h"
#include "rpc/messages.pb.h"
#include "rpc/rpc_link.h"
#include "taskmanager/dispatcher_links.h"

namespace baton {

class MemberPoll : public std::enable_shared_from_this<MemberPoll> {
 public:
  static constexpr Duration kStepTimeout = std::chrono::seconds(1);

  enum class Verdict { kNobodyLeads, kSomebodyMayLead };
  using Callback = absl::AnyInvocable<void(Verdict)>;

  struct Dependencies {
    FrameTransportPtr transport;
    ExecutorPtr executor;
    std::shared_ptr<DispatcherLinks> links;  // asked over an open link where there is one
    LinkIdentity self;
  };

  static void Start(const Dependencies& dependencies, const pb::MemberList& members, Epoch epoch,
                    Callback callback);

 private:
  enum class LinkKind { kKept, kForThisPoll };

  MemberPoll(const Dependencies& dependencies, Epoch epoch, Callback callback);

  void Ask(const pb::Member& member);
  void AskOver(const RpcLinkPtr& link, const pb::Member& member, LinkKind kind);
  void AskAnew(const pb::Member& member);
  void OnConnected(const pb::Member& member, FrameConnectionPtr connection);
  void OnAnswer(const pb::LeaseQueryReply& reply);
  void OnSilence();
  void MemberDone();
  void Finish(Verdict verdict);

  const Dependencies dependencies_;
  const Epoch epoch_;
  Callback callback_;  // null once called
  int waiting_for_ = 0;
};

}  // namespace baton
