#include "ha/embedded_coordination.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/embedded_client.h"

namespace baton {

using embedded::AnswerMessage;
using embedded::CallRequest;
using embedded::CloseRequest;
using embedded::ConnectRequest;
using embedded::FiredMessage;
using embedded::kNoConnection;
using embedded::PeerAddress;
using embedded::PingRequest;

EmbeddedCoordinationServer::EmbeddedCoordinationServer(ExecutorPtr executor)
    : EmbeddedCoordinationServer(std::move(executor), nullptr, ZnodeTree()) {}
EmbeddedCoordinationServer::EmbeddedCoordinationServer(ExecutorPtr executor, JournalPtr journal,
                                                       ZnodeTree tree)
    : executor_(std::move(executor)),
      tree_(std::make_shared<JournaledTree>(executor_, std::move(journal), std::move(tree))) {}
EmbeddedCoordinationServer::~EmbeddedCoordinationServer() = default;

// ---- Connections

EmbeddedCoordinationServer::Client& EmbeddedCoordinationServer::ClientOf(embedded::ClientId id) {
  auto [it, is_new] = clients_.try_emplace(id);
  if (is_new) {
    auto keep =
        IfAlive(weak_from_this(), [](EmbeddedCoordinationServer& self, const FiredMessage& fired) {
          auto session = self.sessions_.find(fired.session_id);
          if (session != self.sessions_.end())
            session->second.held_watches.push_back(fired.watch_id);
        });
    it->second.link = std::make_shared<embedded::Link>(
        executor_, [keep](const FiredMessage& fired) mutable { keep(fired); });
  }
  return it->second;
}

void EmbeddedCoordinationServer::Send(const PeerAddress& from, embedded::Request request) {
  executor_->Post([self = shared_from_this(), from, request = std::move(request)]() mutable {
    Client& client = self->ClientOf(from.id);
    client.link->SetAddress(from);
    client.link->ToServer(
        IfAlive(self->weak_from_this(),
                [from, request = std::move(request)](EmbeddedCoordinationServer& server) mutable {
                  std::visit([&](auto& kind) { server.Handle(from, std::move(kind)); }, request);
                }));
  });
}

void EmbeddedCoordinationServer::Handle(const PeerAddress& from, ConnectRequest request) {
  Client& client = ClientOf(from.id);
  if (request.connection < client.last_connection) return;  // given up by the client meanwhile
  int64_t id = request.session_id;
  if (id == 0) {
    // The client asks again until it is answered; one connection makes one session.
    const bool is_made =
        request.connection == client.last_connection && sessions_.contains(client.session_id);
    id = is_made ? client.session_id : NewSession(from.id, request.session_timeout);
  }
  auto it = sessions_.find(id);
  if (it == sessions_.end()) {
    client.link->ToClient(embedded::ExpiredMessage{id});
    return;
  }
  Session& session = it->second;
  if (session.is_ending) return;  // told when it has ended; or asked again
  client.session_id = id;
  client.last_connection = request.connection;
  session.connection = request.connection;
  session.is_open = true;
  Heard(session);
  client.link->ToClient(embedded::ConnectedMessage{request.connection, id});
  for (uint64_t watch : std::exchange(session.held_watches, {})) {
    client.link->ToClient(FiredMessage{id, watch});
  }
}

void EmbeddedCoordinationServer::Handle(const PeerAddress& from, PingRequest request) {
  Client& client = ClientOf(from.id);
  Session* session = LiveSession(client, request.connection);
  if (session == nullptr) return;
  Heard(*session);
  if (session->is_open) client.link->ToClient(embedded::PongMessage{request.connection});
}

void EmbeddedCoordinationServer::Handle(const PeerAddress& from, CloseRequest request) {
  Client& client = ClientOf(from.id);
  if (!sessions_.contains(request.session_id)) {
    if (client.session_id == request.session_id) clients_.erase(from.id);
    return;
  }
  if (client.session_id == request.session_id) client.has_closed = true;
  EndSession(request.session_id);
}

void EmbeddedCoordinationServer::Handle(const PeerAddress& from, CallRequest request) {
  Client& client = ClientOf(from.id);
  Session* session = LiveSession(client, request.connection);
  if (session == nullptr) return;
  Heard(*session);
  if (LosesAnswer(client, request)) {
    const LostAnswer lost = *std::exchange(client.lose_next, std::nullopt);
    // Broken first: a watch of its own that the change fires is told on the next connection.
    ResetConnection(client);
    if (lost == LostAnswer::kNotApplied) {
      // Nor does anything that was sent after it take effect: the order of calls holds.
      session->connection = kNoConnection;
      return;
    }
  }
  // What was received takes effect in this order, also when the session ends before its turn.
  if (request.kind == CallRequest::Kind::kChange) return Change(from.id, std::move(request));
  Read(from.id, std::move(request));
}

bool EmbeddedCoordinationServer::LosesAnswer(const Client& client, const CallRequest& request) {
  if (request.kind != CallRequest::Kind::kChange || !client.lose_next) return false;
  return client.lose_below.empty() ||
         std::ranges::any_of(request.ops, [&](const CoordinationOp& op) {
           return op.path.starts_with(client.lose_below);
         });
}

void EmbeddedCoordinationServer::ResetConnection(Client& client) {
  auto it = sessions_.find(client.session_id);
  if (it == sessions_.end()) return;
  if (!std::exchange(it->second.is_open, false)) return;
  client.link->Deliver(embedded::ResetMessage{it->second.connection});
}

// ---- Sessions

int64_t EmbeddedCoordinationServer::NewSession(embedded::ClientId client, Duration timeout) {
  const int64_t id = ++last_session_;
  const TimePoint deadline = executor_->Now() + timeout;
  sessions_[id] = Session{
      .client = client,
      .connection = kNoConnection,
      .is_open = false,
      .timeout = timeout,
      .deadline = deadline,
  };
  ArmExpiry(id);
  return id;
}

EmbeddedCoordinationServer::Session* EmbeddedCoordinationServer::LiveSession(
    Client& client, embedded::ConnectionId connection) {
  auto it = sessions_.find(client.session_id);
  if (it == sessions_.end() || it->second.connection != connection) return nullptr;
  if (it->second.is_ending) return nullptr;
  return &it->second;
}

void EmbeddedCoordinationServer::Heard(Session& session) {
  session.deadline = executor_->Now() + session.timeout;
}

void EmbeddedCoordinationServer::ArmExpiry(int64_t session_id) {
  Session& session = sessions_.at(session_id);
  session.timer = executor_->PostAfter(
      session.deadline - executor_->Now(),
      IfAlive(weak_from_this(),
              [session_id, expected = session.deadline](EmbeddedCoordinationServer& self) {
                self.CheckExpiry(session_id, expected);
              }));
}

void EmbeddedCoordinationServer::CheckExpiry(int64_t session_id, TimePoint expected) {
  auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;
  Session& session = it->second;
  const TimePoint now = executor_->Now();
  // A timer that comes late says that the server was away (stopped, suspended, starved): it could
  // not hear the client, so the client gets another whole timeout.
  const bool was_away = now - expected > session.timeout / 4;
  if (was_away) session.deadline = std::max(session.deadline, now + session.timeout);
  if (session.deadline > now) return ArmExpiry(session_id);
  log::Info("session expired session_id={:#x}", session_id);
  EndSession(session_id);
}

// Its nodes go behind what was received of it before.
void EmbeddedCoordinationServer::EndSession(int64_t session_id) {
  auto it = sessions_.find(session_id);
  if (it == sessions_.end() || std::exchange(it->second.is_ending, true)) return;
  executor_->Cancel(it->second.timer);
  tree_->DropEphemerals(session_id,
                        IfAlive(weak_from_this(), [session_id](EmbeddedCoordinationServer& self,
                                                               const ZnodeTree::Outcome& outcome) {
                          self.OnSessionEnded(session_id, outcome);
                        }));
}

void EmbeddedCoordinationServer::OnSessionEnded(int64_t session_id,
                                                const ZnodeTree::Outcome& outcome) {
  auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;
  const embedded::ClientId client_id = it->second.client;
  const bool was_open = it->second.is_open;
  sessions_.erase(it);
  watches_.DropSession(session_id);
  FireWatchesOf(outcome);
  auto client = clients_.find(client_id);
  if (client == clients_.end() || client->second.session_id != session_id) return;
  const bool has_gone = client->second.has_closed || !client->second.link->has_peer();
  if (was_open && !client->second.has_closed) {
    client->second.link->ToClient(embedded::ExpiredMessage{session_id});
  }
  if (has_gone) clients_.erase(client);
}

// ---- Calls

void EmbeddedCoordinationServer::Change(embedded::ClientId client, CallRequest request) {
  auto done = [client, connection = request.connection, call = request.call_id](
                  EmbeddedCoordinationServer& self, const ZnodeTree::Outcome& outcome) {
    self.FireWatchesOf(outcome);
    AnswerMessage answer{connection, call, outcome.result, {}, {}};
    const auto& changes = outcome.changes;
    if (!changes.empty() && changes.front().after) answer.node.stat = changes.front().after->stat;
    self.Answer(client, std::move(answer));
  };
  tree_->Change(ClientOf(client).session_id, std::move(request.ops),
                IfAlive(weak_from_this(), std::move(done)));
}

void EmbeddedCoordinationServer::Read(embedded::ClientId client, CallRequest request) {
  tree_->Read(
      IfAlive(weak_from_this(),
              [client, session_id = ClientOf(client).session_id, request = std::move(request)](
                  EmbeddedCoordinationServer& self, const ZnodeTree& tree) {
                // A watch of a session that has ended would never be dropped.
                if (!self.sessions_.contains(session_id)) return;
                self.Answer(client, self.ReadNow(session_id, request, tree));
              }));
}

AnswerMessage EmbeddedCoordinationServer::ReadNow(int64_t session_id, const CallRequest& request,
                                                  const ZnodeTree& tree) {
  AnswerMessage answer{request.connection, request.call_id, {}, {}, {}};
  const WatchId watch{session_id, request.watch_id};
  if (request.kind == CallRequest::Kind::kGet) {
    auto node = tree.Get(request.path);
    answer.result.status = node.status();
    if (node.ok()) answer.node = *std::move(node);
    watches_.WatchNode(request.path, watch);
  } else if (request.kind == CallRequest::Kind::kChildren) {
    auto children = tree.Children(request.path);
    answer.result.status = children.status();
    if (children.ok()) {
      answer.children = *std::move(children);
      watches_.WatchChildren(request.path, watch);
    } else {
      watches_.WatchNode(request.path, watch);
    }
  }
  return answer;  // kSync: its turn is all it waited for
}

void EmbeddedCoordinationServer::Answer(embedded::ClientId id, AnswerMessage answer) {
  auto client = clients_.find(id);
  if (client == clients_.end()) return;
  Session* session = LiveSession(client->second, answer.connection);
  if (session == nullptr || !session->is_open) return;
  client->second.link->ToClient(std::move(answer));
}

void EmbeddedCoordinationServer::FireWatchesOf(const ZnodeTree::Outcome& outcome) {
  for (const ZnodeChange& change : outcome.changes) {
    for (const WatchId& watch : watches_.Take(change)) Fire(watch);
  }
}

void EmbeddedCoordinationServer::Fire(const WatchId& watch) {
  auto it = sessions_.find(watch.session);
  if (it == sessions_.end()) return;
  if (!it->second.is_open) {
    it->second.held_watches.push_back(watch.id);
    return;
  }
  ClientOf(it->second.client).link->ToClient(FiredMessage{watch.session, watch.id});
}

void RecoverEmbeddedCoordination(
    ExecutorPtr executor, JournalPtr journal,
    absl::AnyInvocable<void(absl::StatusOr<EmbeddedCoordinationServerPtr>)> callback) {
  Journal& from = *journal;
  from.Load([executor = std::move(executor), weak = std::weak_ptr(journal),
             callback = std::move(callback)](absl::StatusOr<TreeImage> image) mutable {
    if (!image.ok()) return callback(At("the journal", image.status()));
    auto tree = ZnodeTree::From(*image);
    if (!tree.ok()) return callback(At("the journal", tree.status()));
    callback(std::make_shared<EmbeddedCoordinationServer>(std::move(executor), weak.lock(),
                                                          *std::move(tree)));
  });
}

}  // namespace baton
