#include "ha/embedded_coordination.h"

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
    : executor_(std::move(executor)) {}
EmbeddedCoordinationServer::~EmbeddedCoordinationServer() = default;

// ---- Faults

void EmbeddedCoordinationServer::PostFor(const CoordinationClientPtr& client, ClientAction action) {
  executor_->Post([self = shared_from_this(), id = embedded::IdOf(*client),
                   action = std::move(action)]() mutable { action(*self, self->ClientOf(id)); });
}

void EmbeddedCoordinationServer::Disconnect(const CoordinationClientPtr& client, Cut cut) {
  PostFor(client, [cut](EmbeddedCoordinationServer& self, Client& of) {
    of.link->Cut();
    if (cut == Cut::kReset) self.ResetConnection(of);
  });
}

void EmbeddedCoordinationServer::Reconnect(const CoordinationClientPtr& client) {
  PostFor(client, [](EmbeddedCoordinationServer& self, Client& of) {
    of.link->Mend();
    // What was lost meanwhile cannot be told: the client begins a new connection.
    self.ResetConnection(of);
  });
}

void EmbeddedCoordinationServer::Expire(const CoordinationClientPtr& client) {
  PostFor(client,
          [](EmbeddedCoordinationServer& self, Client& of) { self.EndSession(of.session_id); });
}

void EmbeddedCoordinationServer::DropNextAnswer(const CoordinationClientPtr& client,
                                                LostAnswer lost) {
  PostFor(client, [lost](EmbeddedCoordinationServer&, Client& of) { of.lose_next = lost; });
}

void EmbeddedCoordinationServer::SetDelay(const CoordinationClientPtr& client, Duration to_server,
                                          Duration to_client) {
  PostFor(client, [to_server, to_client](EmbeddedCoordinationServer&, Client& of) {
    of.link->SetDelay(to_server, to_client);
  });
}

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
  EndSession(request.session_id);
  if (client.session_id == request.session_id) clients_.erase(from.id);
}

void EmbeddedCoordinationServer::Handle(const PeerAddress& from, CallRequest request) {
  Client& client = ClientOf(from.id);
  Session* session = LiveSession(client, request.connection);
  if (session == nullptr) return;
  Heard(*session);
  if (request.kind == CallRequest::Kind::kChange && client.lose_next) {
    const LostAnswer lost = *std::exchange(client.lose_next, std::nullopt);
    // Broken first: a watch of its own that the change fires is told on the next connection.
    ResetConnection(client);
    if (lost == LostAnswer::kNotApplied) {
      // Nor does anything that was sent after it take effect: the order of calls holds.
      session->connection = kNoConnection;
      return;
    }
  }
  AnswerMessage answer = Execute(client.session_id, request);
  if (session->is_open) client.link->ToClient(std::move(answer));
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
  sessions_[id] = Session{client, kNoConnection, false, timeout, deadline, kNoTimer, {}};
  ArmExpiry(id);
  return id;
}

EmbeddedCoordinationServer::Session* EmbeddedCoordinationServer::LiveSession(
    Client& client, embedded::ConnectionId connection) {
  auto it = sessions_.find(client.session_id);
  if (it == sessions_.end() || it->second.connection != connection) return nullptr;
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

void EmbeddedCoordinationServer::EndSession(int64_t session_id) {
  auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;
  const embedded::ClientId client_id = it->second.client;
  const bool was_open = it->second.is_open;
  executor_->Cancel(it->second.timer);
  sessions_.erase(it);
  watches_.DropSession(session_id);
  std::vector<CoordinationOp> deletes;
  for (const std::string& path : tree_.EphemeralsOf(session_id)) {
    deletes.push_back(CoordinationOp::Delete(path, kAnyVersion));
  }
  if (!deletes.empty()) Change(session_id, deletes);
  auto client = clients_.find(client_id);
  if (client == clients_.end() || client->second.session_id != session_id) return;
  if (was_open) client->second.link->ToClient(embedded::ExpiredMessage{session_id});
  if (!client->second.link->has_peer()) clients_.erase(client);
}

// ---- Calls

AnswerMessage EmbeddedCoordinationServer::Execute(int64_t session_id, CallRequest& request) {
  AnswerMessage answer{request.connection, request.call_id, {}, {}, {}};
  const WatchId watch{session_id, request.watch_id};
  switch (request.kind) {
    case CallRequest::Kind::kGet: {
      auto node = tree_.Get(request.path);
      answer.result.status = node.status();
      if (node.ok()) answer.node = *std::move(node);
      watches_.WatchNode(request.path, watch);
      break;
    }
    case CallRequest::Kind::kChildren: {
      auto children = tree_.Children(request.path);
      answer.result.status = children.status();
      if (!children.ok()) {
        watches_.WatchNode(request.path, watch);
        break;
      }
      answer.children = *std::move(children);
      watches_.WatchChildren(request.path, watch);
      break;
    }
    case CallRequest::Kind::kChange: {
      answer.result = Change(session_id, request.ops);
      auto node = tree_.Get(request.ops.front().path);
      if (node.ok()) answer.node.stat = node->stat;
      break;
    }
    case CallRequest::Kind::kSync:
      break;
  }
  return answer;
}

MultiResult EmbeddedCoordinationServer::Change(int64_t session_id,
                                               const std::vector<CoordinationOp>& ops) {
  ZnodeTree::Outcome outcome = tree_.Apply(session_id, ops);
  for (const ZnodeChange& change : outcome.changes) {
    for (const WatchId& watch : watches_.Take(change)) Fire(watch);
  }
  return outcome.result;
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

}  // namespace baton
