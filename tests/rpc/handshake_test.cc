// The handshake alone: two of them whose frames the test carries, bends and swaps.

#include "rpc/handshake.h"

#include <gtest/gtest.h>

#include "base/status.h"

namespace baton {
namespace {

constexpr char kOld[] = "the secret of last year";
constexpr char kNew[] = "the secret of this year";

pb::Hello HelloOf(const std::string& id) {
  pb::Hello hello;
  hello.set_cluster_id("test");
  hello.set_id(id);
  return hello;
}

LinkIdentity Identity(const std::string& id, std::vector<std::string> secrets) {
  if (secrets.empty()) return HelloOf(id);
  return LinkIdentity(HelloOf(id), std::make_shared<ClusterSecrets>(std::move(secrets)),
                      NewSystemRandom());
}

pb::Envelope Parse(const std::string& frame) {
  pb::Envelope envelope;
  EXPECT_TRUE(envelope.ParseFromString(frame));
  return envelope;
}

absl::StatusOr<Handshake::Step> Give(Handshake& to, const std::string& frame) {
  return to.OnFrame(frame, Parse(frame));
}

struct Pair {
  Pair(const LinkIdentity& one, const LinkIdentity& other)
      : connector(one, LinkSide::kConnector, "acceptor:1"),
        acceptor(other, LinkSide::kAcceptor, "connector:1") {}

  // What went wrong first; OK: both are open.
  absl::Status Run() {
    auto at_acceptor = Give(acceptor, connector.first_frame());
    if (!at_acceptor.ok()) return at_acceptor.status();
    auto at_connector = Give(connector, acceptor.first_frame());
    if (!at_connector.ok()) return at_connector.status();
    if (at_acceptor->open && at_connector->open) return absl::OkStatus();
    at_acceptor = Give(acceptor, at_connector->send);
    if (!at_acceptor.ok()) return at_acceptor.status();
    at_connector = Give(connector, at_acceptor->send);
    if (!at_connector.ok()) return at_connector.status();
    EXPECT_TRUE(at_acceptor->open);
    EXPECT_TRUE(at_connector->open);
    return absl::OkStatus();
  }

  Handshake connector, acceptor;
};

std::string WhyNot(std::vector<std::string> one, std::vector<std::string> other) {
  return Message(Pair(Identity("a", std::move(one)), Identity("b", std::move(other))).Run());
}

TEST(HandshakeTest, BothSidesProveWhatBothKnow) {
  Pair pair(Identity("a", {kNew}), Identity("b", {kNew}));
  EXPECT_TRUE(pair.Run().ok());
  EXPECT_EQ(pair.connector.peer().id(), "b");
  EXPECT_EQ(pair.acceptor.peer().id(), "a");
}

TEST(HandshakeTest, ASecretIsChangedOneProcessAfterTheOther) {
  const std::vector<std::vector<std::string>> steps = {{kOld}, {kOld, kNew}, {kNew, kOld}, {kNew}};
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    EXPECT_EQ(WhyNot(steps[i], steps[i + 1]), "") << i;
    EXPECT_EQ(WhyNot(steps[i + 1], steps[i]), "") << i;
  }
  EXPECT_NE(WhyNot(steps[0], steps[3]), "");
  EXPECT_NE(WhyNot(steps[0], steps[3]).find("different cluster secrets"), std::string::npos);
}

TEST(HandshakeTest, ASecretOnOneSideOnlyIsRefusedWithASentence) {
  EXPECT_NE(WhyNot({kNew}, {}).find("set security.cluster-secret-file"), std::string::npos);
  EXPECT_NE(WhyNot({}, {kNew}).find("has no cluster secret"), std::string::npos);
  EXPECT_EQ(WhyNot({}, {}), "");
}

TEST(HandshakeTest, TheAcceptorProvesNothingToStrangers) {
  Pair pair(Identity("a", {kNew}), Identity("b", {kNew}));
  const auto step = Give(pair.acceptor, pair.connector.first_frame());
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(step->send, "");
  EXPECT_FALSE(step->open);
}

TEST(HandshakeTest, AProofSentBackToItsMakerProvesNothing) {
  // Whoever answers a connector with its own Hello and its own proof knows no secret.
  Handshake connector(Identity("a", {kNew}), LinkSide::kConnector, "mirror:1");
  const auto proof = Give(connector, connector.first_frame());
  ASSERT_TRUE(proof.ok());
  EXPECT_FALSE(Give(connector, proof->send).ok());
}

TEST(HandshakeTest, AProofOfAnotherConnectionIsWorthless) {
  Pair seen(Identity("a", {kNew}), Identity("b", {kNew}));
  ASSERT_TRUE(Give(seen.acceptor, seen.connector.first_frame()).ok());
  const auto proof = Give(seen.connector, seen.acceptor.first_frame());
  // The same Hello and the same proof once more: the other nonce is a new one.
  Handshake acceptor(Identity("b", {kNew}), LinkSide::kAcceptor, "replay:1");
  ASSERT_TRUE(Give(acceptor, seen.connector.first_frame()).ok());
  EXPECT_FALSE(Give(acceptor, proof->send).ok());
}

TEST(HandshakeTest, AProofCoversAllThatTheHellosSay) {
  for (const char* what : {"id", "role", "versions"}) {
    Pair pair(Identity("a", {kNew}), Identity("b", {kNew}));
    pb::Envelope bent = Parse(pair.connector.first_frame());
    if (what == std::string("id")) bent.mutable_hello()->set_id("somebody else");
    if (what == std::string("role")) bent.mutable_hello()->set_role(pb::Hello::TASK_MANAGER);
    if (what == std::string("versions")) bent.mutable_hello()->set_max_version(7);
    ASSERT_TRUE(Give(pair.acceptor, bent.SerializeAsString()).ok());
    const auto proof = Give(pair.connector, pair.acceptor.first_frame());
    EXPECT_FALSE(Give(pair.acceptor, proof->send).ok()) << what;
  }
}

TEST(HandshakeTest, NothingElseIsTakenBeforeTheProof) {
  pb::Envelope early;
  early.mutable_deploy_tasks()->set_registration_id("r");
  Pair pair(Identity("a", {kNew}), Identity("b", {kNew}));
  EXPECT_EQ(Give(pair.acceptor, early.SerializeAsString()).status().code(),
            absl::StatusCode::kInvalidArgument);
  Pair after(Identity("a", {kNew}), Identity("b", {kNew}));
  ASSERT_TRUE(Give(after.acceptor, after.connector.first_frame()).ok());
  EXPECT_EQ(Give(after.acceptor, early.SerializeAsString()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(HandshakeTest, AShortNonceIsRefused) {
  Handshake acceptor(Identity("b", {kNew}), LinkSide::kAcceptor, "a:1");
  pb::Envelope hello;
  *hello.mutable_hello() = HelloOf("a");
  hello.mutable_hello()->set_max_version(kProtocolVersion);
  hello.mutable_hello()->set_nonce("x");
  EXPECT_FALSE(Give(acceptor, hello.SerializeAsString()).ok());
}

TEST(HandshakeTest, ARefusalNeverLooksLikeARefusedConnection) {
  for (const auto code : {absl::StatusCode::kUnavailable, absl::StatusCode::kDeadlineExceeded}) {
    Handshake connector(Identity("a", {}), LinkSide::kConnector, "b:1");
    pb::Envelope error;
    error.mutable_error()->set_code(static_cast<uint32_t>(code));
    error.mutable_error()->set_message("going down");
    EXPECT_EQ(Give(connector, error.SerializeAsString()).status().code(),
              absl::StatusCode::kAborted);
  }
}

struct Versions {
  uint32_t least, most;
};

absl::StatusOr<uint32_t> Agree(Versions one, Versions other) {
  LinkIdentity a = Identity("a", {kNew}), b = Identity("b", {kNew});
  a.min_version = one.least;
  a.max_version = one.most;
  b.min_version = other.least;
  b.max_version = other.most;
  Pair pair(a, b);
  if (auto status = pair.Run(); !status.ok()) return status;
  EXPECT_EQ(pair.connector.version(), pair.acceptor.version());
  return pair.connector.version();
}

TEST(HandshakeTest, TheHighestCommonVersionIsUsed) {
  EXPECT_EQ(*Agree({1, 3}, {2, 5}), 3u);
  EXPECT_EQ(*Agree({2, 5}, {1, 3}), 3u);
  EXPECT_EQ(*Agree({1, 1}, {1, 9}), 1u);
  EXPECT_EQ(*Agree({4, 4}, {4, 4}), 4u);
}

TEST(HandshakeTest, NoCommonVersionIsASentenceThatNamesBoth) {
  EXPECT_EQ(Message(Agree({1, 2}, {3, 5}).status()),
            "connector:1 speaks protocol versions 1 to 2, this process versions 3 to 5");
  EXPECT_EQ(Message(Agree({4, 4}, {1, 3}).status()),
            "connector:1 speaks protocol version 4, this process versions 1 to 3");
}

}  // namespace
}  // namespace baton
