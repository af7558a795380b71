// The faults that tests command.

#include <utility>

#include "ha/embedded_client.h"
#include "ha/embedded_coordination.h"

namespace baton {

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
    // What was lost meanwhile cannot be told: the client begins a new connection. Also where its
    // session has ended and nothing of it is left here to tell of: its old connection is refused by
    // a server that does not know it, and what it sends on the new one is answered by "expired", as
    // ZooKeeper does. Otherwise it would find out by its own silence, seconds later.
    if (!self.sessions_.contains(of.session_id)) {
      of.link->Deliver(embedded::ResetMessage{of.last_connection});
    }
    self.ResetConnection(of);
  });
}

void EmbeddedCoordinationServer::Expire(const CoordinationClientPtr& client) {
  PostFor(client,
          [](EmbeddedCoordinationServer& self, Client& of) { self.EndSession(of.session_id); });
}

void EmbeddedCoordinationServer::DropNextAnswer(const CoordinationClientPtr& client,
                                                LostAnswer lost, const std::string& folder) {
  PostFor(client, [lost, folder](EmbeddedCoordinationServer&, Client& of) {
    of.lose_next = lost;
    of.lose_below = folder;
  });
}

void EmbeddedCoordinationServer::SetDelay(const CoordinationClientPtr& client, Duration to_server,
                                          Duration to_client) {
  PostFor(client, [to_server, to_client](EmbeddedCoordinationServer&, Client& of) {
    of.link->SetDelay(to_server, to_client);
  });
}

}  // namespace baton
