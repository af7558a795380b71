// The bytes on a link to a replica, from its first one on: of a stranger, of a process of the
// cluster that has proved its secret, and of the server that a process connects to.
//
// Whoever has not proved the secret reaches no service. Whatever comes, the frames do not depend on
// how the bytes were cut, and the server answers the next one that connects.

#include <google/protobuf/stubs/logging.h>

#include <cstring>
#include <optional>

#include "base/log.h"
#include "base/manual_executor.h"
#include "ha/peer_monitor.h"
#include "rpc/rpc_server.h"
#include "store/blob_place.h"
#include "store/blob_store.h"
#include "store/journal_gathering.h"
#include "store/local_blob_store.h"
#include "store/replica_store.h"
#include "store/request_desk.h"
#include "tests/fuzz/fed_connection.h"
#include "tests/store/fake_kv_engine.h"

namespace baton::fuzz {
namespace {

enum class Mode : uint8_t { kStranger, kProven, kNoSecrets, kServer, kCount };

const std::string kSecret = "sixteen bytes at least";

LinkIdentity Identity(const std::string& id, bool with_secret) {
  pb::Hello hello;
  hello.set_cluster_id("test");
  hello.set_role(pb::Hello::REPLICA);
  hello.set_id(id);
  hello.set_incarnation(id + "-life");
  if (!with_secret) return LinkIdentity(std::move(hello));
  return LinkIdentity(std::move(hello),
                      std::make_shared<ClusterSecrets>(std::vector<std::string>{kSecret}),
                      NewSeededRandom(1));
}

std::string Framed(const std::string& frame) {
  const auto size = static_cast<uint32_t>(frame.size());
  return std::string{static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                     static_cast<char>(size >> 8), static_cast<char>(size)} +
         frame;
}

pb::Envelope Parsed(const std::string& frame) {
  pb::Envelope envelope;
  FUZZ_CHECK(envelope.ParseFromString(frame), "this side sent what is no message");
  return envelope;
}

// A replica's server with the services of its store.
class World {
 public:
  explicit World(bool with_secret) : with_secret_(with_secret) {
    std::vector<std::string> families = StoreFamilies();
    auto engine = std::make_shared<FakeKvEngine>(disk_, executor_, families);
    local_ = NewLocalBlobStore(engine, executor_);
    journal_ = std::make_shared<RecordJournal>(engine, executor_, CoordinationPaths("/b", "c"));
    server_ = std::make_shared<RpcServer>(transport_, executor_, Identity("replica", with_secret));
    RequestDesk desk(*server_, executor_);
    ServeBlobs(desk, local_);
    ServePlace(desk, NewLocalPlace(local_, [] { return Epoch{3}; }));
    ServeJournal(
        desk, journal_, [] { return true; }, [] { return Epoch{3}; });
    ServePings(*server_, [] { return pb::Pong(); });
    server_->Observe({.on_opened = [this](const RpcLinkPtr&) { ++opened_; }, .on_closed = {}});
    FUZZ_CHECK(server_->Start("replica:1").ok(), "");
  }
  ~World() {
    server_->Stop();
    scheduler_.AdvanceBy(std::chrono::minutes(1));
    executor_->Kill();
  }

  std::shared_ptr<FedConnection> Connect() {
    auto connection = std::make_shared<FedConnection>(executor_);
    executor_->Post([this, connection] { transport_->Accept(connection); });
    scheduler_.RunUntilIdle();
    return connection;
  }

  void Feed(FedConnection& connection, const std::string& bytes, size_t piece) {
    connection.Feed(bytes, piece);
    scheduler_.AdvanceBy(std::chrono::milliseconds(10));
    for (const auto& frame : connection.TakeSent()) Parsed(frame);
  }

  // The honest share of a handshake.
  void Shake(FedConnection& connection) {
    Handshake handshake(Identity("peer", with_secret_), LinkSide::kConnector, "replica:1");
    connection.Feed(Framed(handshake.first_frame()), SIZE_MAX);
    bool open = false;
    for (int i = 0; i < 4 && !open; ++i) {
      scheduler_.RunUntilIdle();
      for (const auto& frame : connection.TakeSent()) {
        auto step = handshake.OnFrame(frame, Parsed(frame));
        FUZZ_CHECK(step.ok(), step.status().ToString());
        if (!step->send.empty()) connection.Feed(Framed(step->send), SIZE_MAX);
        open = step->open;
      }
    }
    FUZZ_CHECK(open, "an honest handshake fails");
    scheduler_.RunUntilIdle();
  }

  void CheckServes() {
    const int before = opened_;
    auto connection = Connect();
    Shake(*connection);
    FUZZ_CHECK(opened_ == before + 1, "the server serves nobody any more");
    pb::Envelope ping;
    ping.set_protocol_version(kProtocolVersion);
    ping.set_correlation_id(7);
    ping.mutable_ping();
    connection->Feed(Framed(ping.SerializeAsString()), SIZE_MAX);
    scheduler_.RunUntilIdle();
    const auto sent = connection->TakeSent();
    FUZZ_CHECK(sent.size() == 1 && Parsed(sent[0]).has_pong(), "a ping is not answered");
    connection->Break();
    scheduler_.RunUntilIdle();
  }

  int opened() const { return opened_; }
  size_t stored() const { return disk_->size(); }
  ManualScheduler& scheduler() { return scheduler_; }
  const std::shared_ptr<ManualExecutor>& executor() { return executor_; }

 private:
  const bool with_secret_;
  ManualScheduler scheduler_{1};
  std::shared_ptr<ManualExecutor> executor_ = scheduler_.NewExecutor("replica");
  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  std::shared_ptr<FedTransport> transport_ = std::make_shared<FedTransport>();
  LocalBlobStorePtr local_;
  RecordJournalPtr journal_;
  std::shared_ptr<RpcServer> server_;
  int opened_ = 0;
};

// The other way round: this process connects, and what it reaches is the fuzzer.
void ConnectToFuzzer(const std::string& bytes, size_t piece) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("connector");
  auto connection = std::make_shared<FedConnection>(executor);
  std::optional<absl::StatusOr<RpcLinkPtr>> opened;
  RpcLink::Open(connection, Identity("peer", true), executor, std::chrono::seconds(5),
                [&opened](absl::StatusOr<RpcLinkPtr> link) {
                  FUZZ_CHECK(!opened, "answered twice");
                  opened = std::move(link);
                });
  scheduler.RunUntilIdle();
  connection->Feed(bytes, piece);
  scheduler.AdvanceBy(std::chrono::seconds(6));
  FUZZ_CHECK(opened.has_value(), "the handshake has no end");
  FUZZ_CHECK(!opened->ok(), "opened without a proof of the secret");
  connection->Break();
  scheduler.RunUntilIdle();
  executor->Kill();
}

void CheckDecoder(const std::string& bytes, size_t piece) {
  FrameDecoder whole;
  size_t taken = 0;
  std::vector<std::string> expected;
  for (size_t done = 0; done < bytes.size();) {
    const auto room = whole.Room();
    const size_t count = std::min(room.size(), bytes.size() - done);
    std::memcpy(room.data(), bytes.data() + done, count);
    whole.Add(count);
    done += count;
    auto frames = whole.Take(kMaxFrameBytes);
    for (auto& frame : frames.frames) expected.push_back(std::move(frame));
    taken += frames.bytes;
    if (frames.oversized) break;
  }
  std::string joined;
  for (const auto& frame : expected) joined += Framed(frame);
  FUZZ_CHECK(joined.size() == taken && bytes.starts_with(joined), "not the bytes that came");

  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("reader");
  auto connection = std::make_shared<FedConnection>(executor);
  std::vector<std::string> frames;
  connection->Start(
      {[&frames](std::string frame) { frames.push_back(std::move(frame)); }, [](absl::Status) {}});
  connection->Feed(bytes, piece);
  scheduler.RunUntilIdle();
  FUZZ_CHECK(frames == expected, "the frames depend on how the bytes were cut");
  executor->Kill();
}

void FeedServer(Mode mode, const std::string& bytes, size_t piece) {
  World world(mode != Mode::kNoSecrets);
  auto connection = world.Connect();
  connection->TakeSent();
  if (mode == Mode::kProven) {
    connection = world.Connect();
    world.Shake(*connection);
  }
  const int before = world.opened();
  world.Feed(*connection, bytes, piece);
  if (mode == Mode::kStranger) {
    FUZZ_CHECK(world.opened() == before, "a link without a proof of the secret");
    FUZZ_CHECK(world.stored() == 0, "a stranger stored something");
  }
  world.CheckServes();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // a line for each string that is no UTF-8
  return baton::log::Init("fuzz", "/dev/null", baton::log::Level::kError).ok() ? 0 : 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const auto mode = static_cast<Mode>(input.Byte() % static_cast<uint8_t>(Mode::kCount));
  const uint8_t cut = input.Byte();
  const size_t piece = cut == 0 ? SIZE_MAX : cut;
  const std::string bytes = input.Rest();
  CheckDecoder(bytes, piece);
  if (mode == Mode::kServer) {
    ConnectToFuzzer(bytes, piece);
  } else {
    FeedServer(mode, bytes, piece);
  }
  return 0;
}

}  // namespace baton::fuzz
