// ZooKeeper within a process: the coordination service of a cluster without ZooKeeper, of unit
// tests and of the simulator, with ZooKeeper's data model, sessions, watches and transactions.
//
// Clients reach the server by posting, each from an executor of its own, so that one server serves
// several simulated processes. A session whose client falls silent (its executor is killed or
// paused, its connection is cut) expires after its timeout, by the server executor's clock. Pausing
// the server's executor is an outage of the service; as after a restart of ZooKeeper, the time that
// the server itself was away counts against no session.
//
// With a journal its persistent nodes survive the process (JournaledTree: nothing is told before it
// is on disk); sessions, and so ephemeral nodes, never do. An answer can then be kUnavailable's
// sister: kResourceExhausted, kInternal or kDataLoss when the journal cannot be written; the change
// had no effect.
//
// Lives on `executor`; the methods may be called from any thread and take effect there, in the
// order of the calls. It ends when the last client and owner let go of it.

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/executor.h"
#include "ha/coordination_client.h"
#include "ha/embedded_link.h"
#include "ha/embedded_protocol.h"
#include "ha/journal.h"
#include "ha/journaled_tree.h"
#include "ha/watch_table.h"
#include "ha/znode_tree.h"

namespace baton {

class EmbeddedCoordinationServer : public std::enable_shared_from_this<EmbeddedCoordinationServer> {
 public:
  enum class Cut {
    kReset,   // the client notices at once
    kSilent,  // the client notices by its pings, after two thirds of the session timeout
  };
  enum class LostAnswer { kApplied, kNotApplied };

  explicit EmbeddedCoordinationServer(ExecutorPtr executor);
  // `tree` is what `journal` holds: use RecoverEmbeddedCoordination.
  EmbeddedCoordinationServer(ExecutorPtr executor, JournalPtr journal, ZnodeTree tree);
  ~EmbeddedCoordinationServer();

  // Faults of one client's connection. They outlive its sessions: a client that is cut off stays so
  // until Reconnect. What it sent before the cut still arrives, answers to it are lost.
  void Disconnect(const CoordinationClientPtr& client, Cut cut = Cut::kReset);
  void Reconnect(const CoordinationClientPtr& client);

  // Ends the session as if it had timed out. A client that is cut off hears of it later.
  void Expire(const CoordinationClientPtr& client);

  // The client's next change (create, set, delete, multi) takes its effect or does not; its answer
  // is lost with the connection, which the client makes anew: it sees kUnknown. With `folder`: the
  // next change of what stands below it.
  void DropNextAnswer(const CoordinationClientPtr& client, LostAnswer lost,
                      const std::string& folder = "");

  // Each message takes so long from now on; order is kept.
  void SetDelay(const CoordinationClientPtr& client, Duration to_server, Duration to_client);

  // For the clients: any thread.
  embedded::ClientId NewClientId() { return ++last_client_; }
  void Send(const embedded::PeerAddress& from, embedded::Request request);

 private:
  struct Session {
    embedded::ClientId client;
    embedded::ConnectionId connection;  // whose requests count
    bool is_open;                       // towards the client; false: its answers are lost
    bool is_ending = false;             // its nodes go when it is their turn; nothing new counts
    Duration timeout;
    TimePoint deadline;
    TimerId timer = kNoTimer;
    std::vector<uint64_t> held_watches;  // fired while not connected
  };
  struct Client {
    std::shared_ptr<embedded::Link> link;
    std::optional<LostAnswer> lose_next;
    std::string lose_below;
    int64_t session_id = 0;
    embedded::ConnectionId last_connection = embedded::kNoConnection;
    bool has_closed = false;
  };
  using ClientAction = absl::AnyInvocable<void(EmbeddedCoordinationServer&, Client&)>;

  void PostFor(const CoordinationClientPtr& client, ClientAction action);
  Client& ClientOf(embedded::ClientId id);

  void Handle(const embedded::PeerAddress& from, embedded::ConnectRequest request);
  void Handle(const embedded::PeerAddress& from, embedded::PingRequest request);
  void Handle(const embedded::PeerAddress& from, embedded::CloseRequest request);
  void Handle(const embedded::PeerAddress& from, embedded::CallRequest request);

  int64_t NewSession(embedded::ClientId client, Duration timeout);
  Session* LiveSession(Client& client, embedded::ConnectionId connection);
  void Heard(Session& session);
  void ArmExpiry(int64_t session_id);
  void CheckExpiry(int64_t session_id, TimePoint expected);
  void EndSession(int64_t session_id);
  void OnSessionEnded(int64_t session_id, const ZnodeTree::Outcome& outcome);
  static bool LosesAnswer(const Client& client, const embedded::CallRequest& request);
  void ResetConnection(Client& client);

  void Change(embedded::ClientId client, embedded::CallRequest request);
  void Read(embedded::ClientId client, embedded::CallRequest request);
  embedded::AnswerMessage ReadNow(int64_t session_id, const embedded::CallRequest& request,
                                  const ZnodeTree& tree);
  void Answer(embedded::ClientId client, embedded::AnswerMessage answer);
  void FireWatchesOf(const ZnodeTree::Outcome& outcome);
  void Fire(const WatchId& watch);

  // Constant after construction.
  const ExecutorPtr executor_;
  const std::shared_ptr<JournaledTree> tree_;

  std::atomic<embedded::ClientId> last_client_{0};

  // On executor_ only.
  WatchTable watches_;
  std::map<int64_t, Session> sessions_;
  std::map<embedded::ClientId, Client> clients_;
  int64_t last_session_ = 0x1000;
};
using EmbeddedCoordinationServerPtr = std::shared_ptr<EmbeddedCoordinationServer>;

// The server with what the journal holds; it keeps to the journal from then on. `callback` comes on
// any thread. Whoever calls holds the journal until then.
void RecoverEmbeddedCoordination(
    ExecutorPtr executor, JournalPtr journal,
    absl::AnyInvocable<void(absl::StatusOr<EmbeddedCoordinationServerPtr>)> callback);

// A client that lives on `executor`. Destroyed without Close, or with its executor killed, it
// leaves its session to time out, as a killed process does.
CoordinationClientPtr NewEmbeddedClient(EmbeddedCoordinationServerPtr server, ExecutorPtr executor,
                                        Duration session_timeout);

}  // namespace baton
