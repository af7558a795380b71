#include "taskmanager/member_poll.h"

#include <utility>

#include "base/deliberate_break.h"

namespace baton {

void MemberPoll::Start(const Dependencies& dependencies, const pb::MemberList& members, Epoch epoch,
                       Callback callback) {
  std::shared_ptr<MemberPoll> poll(new MemberPoll(dependencies, epoch, std::move(callback)));
  // Without a list nothing is known of who may lead.
  if (members.members().empty()) return poll->Finish(Verdict::kSomebodyMayLead);
  poll->waiting_for_ = members.members_size();
  for (const auto& member : members.members()) poll->Ask(member);
}

MemberPoll::MemberPoll(const Dependencies& dependencies, Epoch epoch, Callback callback)
    : dependencies_(dependencies), epoch_(epoch), callback_(std::move(callback)) {}

void MemberPoll::Ask(const pb::Member& member) {
  const RpcLinkPtr link = dependencies_.links->FindAt(member.rpc_address());
  if (link && !link->closed() && link->peer().id() == member.replica_id()) {
    AskOver(link, member, LinkKind::kKept);
  } else {
    AskAnew(member);
  }
}

void MemberPoll::AskOver(const RpcLinkPtr& link, const pb::Member& member, LinkKind kind) {
  pb::Envelope request;
  request.set_epoch(epoch_.value);
  request.mutable_lease_query()->set_task_manager_id(dependencies_.self.hello.id());
  request.mutable_lease_query()->set_epoch(epoch_.value);
  link->Call(std::move(request), kStepTimeout,
             [self = shared_from_this(), link, member, kind](absl::StatusOr<pb::Envelope> reply) {
               if (kind == LinkKind::kForThisPoll) link->Close();
               if (reply.ok() && reply->has_lease_query_reply()) {
                 self->OnAnswer(reply->lease_query_reply());
               } else if (kind == LinkKind::kKept && link->closed()) {
                 // The process behind it may have died a moment ago: only its port can tell.
                 self->AskAnew(member);
               } else {
                 self->OnSilence();
               }
             });
}

void MemberPoll::AskAnew(const pb::Member& member) {
  dependencies_.transport->Connect(
      member.rpc_address(), kStepTimeout, dependencies_.executor,
      [self = shared_from_this(), member](absl::StatusOr<FrameConnectionPtr> connection) {
        if (connection.ok()) {
          self->OnConnected(member, *std::move(connection));
        } else if (IsRefused(connection.status())) {
          self->MemberDone();  // a dead process leads nothing
        } else {
          self->OnSilence();
        }
      });
}

void MemberPoll::OnConnected(const pb::Member& member, FrameConnectionPtr connection) {
  RpcLink::Open(std::move(connection), dependencies_.self, dependencies_.executor, kStepTimeout,
                [self = shared_from_this(), member](absl::StatusOr<RpcLinkPtr> link) {
                  if (!link.ok()) return self->OnSilence();
                  if ((*link)->peer().id() != member.replica_id()) {
                    (*link)->Close();
                    return self->Finish(Verdict::kSomebodyMayLead);
                  }
                  // What else the replica says there, it says on the kept link too.
                  (*link)->Start({.on_message = [](const RpcLinkPtr&, const pb::Envelope&) {},
                                  .on_closed = [](const RpcLinkPtr&, const absl::Status&) {}});
                  self->AskOver(*link, member, LinkKind::kForThisPoll);
                });
}

void MemberPoll::OnAnswer(const pb::LeaseQueryReply& reply) {
  if (reply.leads() || reply.highest_epoch_seen() > epoch_.value) {
    return Finish(Verdict::kSomebodyMayLead);
  }
  MemberDone();
}

void MemberPoll::OnSilence() {
  if (Broken(Break::kSilentMembersDoNotLead)) return MemberDone();
  Finish(Verdict::kSomebodyMayLead);
}

void MemberPoll::MemberDone() {
  if (--waiting_for_ == 0) Finish(Verdict::kNobodyLeads);
}

void MemberPoll::Finish(Verdict verdict) {
  if (callback_) std::exchange(callback_, nullptr)(verdict);
}

}  // namespace baton
