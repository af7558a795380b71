#include "rpc/handshake.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr size_t kNonceBytes = 32;

std::string NewNonce(Random& random) {
  std::string nonce;
  while (nonce.size() < kNonceBytes) {
    for (uint64_t word = random.Next(), i = 0; i < sizeof word; ++i, word >>= 8) {
      nonce += static_cast<char>(word & 0xff);
    }
  }
  return nonce;
}

// A refusal must not look like a refused connection, which proves a process dead (3.4, 3.6).
absl::Status FromPeer(const std::string& peer_address, const pb::Error& error) {
  const auto code = static_cast<absl::StatusCode>(error.code());
  const bool refusal = code == absl::StatusCode::kFailedPrecondition ||
                       code == absl::StatusCode::kInvalidArgument ||
                       code == absl::StatusCode::kResourceExhausted;
  return At(peer_address,
            absl::Status(refusal ? code : absl::StatusCode::kAborted, error.message()));
}

std::string Proof(const std::string& secret, const std::string& text, uint32_t version) {
  pb::Envelope envelope;
  envelope.set_protocol_version(version);
  envelope.mutable_hello_proof()->set_mac(HmacSha256(secret, text));
  return envelope.SerializeAsString();
}

std::string Range(uint32_t least, uint32_t most) {
  return least == most ? fmt::format("version {}", least)
                       : fmt::format("versions {} to {}", least, most);
}

}  // namespace

Handshake::Handshake(const LinkIdentity& self, LinkSide side, std::string peer_address)
    : self_(self), side_(side), peer_address_(std::move(peer_address)) {
  pb::Envelope envelope;
  envelope.set_protocol_version(self_.max_version);
  pb::Hello& hello = *envelope.mutable_hello();
  hello = self_.hello;
  hello.set_min_version(self_.min_version);
  hello.set_max_version(self_.max_version);
  if (self_.secrets) hello.set_nonce(NewNonce(*self_.random));
  first_frame_ = envelope.SerializeAsString();
}

absl::StatusOr<Handshake::Step> Handshake::OnFrame(const std::string& frame,
                                                   const pb::Envelope& envelope) {
  if (envelope.has_error()) return FromPeer(peer_address_, envelope.error());
  return peer_frame_.empty() ? OnHello(frame, envelope) : OnProof(envelope);
}

absl::StatusOr<Handshake::Step> Handshake::OnHello(const std::string& frame,
                                                   const pb::Envelope& envelope) {
  if (!envelope.has_hello()) return InvalidArgument("{} did not begin with a Hello", peer_address_);
  peer_frame_ = frame;
  peer_ = envelope.hello();
  if (auto status = ChooseVersion(envelope); !status.ok()) return status;
  if (peer_.cluster_id() != self_.hello.cluster_id()) {
    return FailedPrecondition("{} belongs to cluster '{}', this process to '{}'", peer_address_,
                              peer_.cluster_id(), self_.hello.cluster_id());
  }
  if (auto status = CheckNonce(); !status.ok()) return status;
  if (!self_.secrets) return Step{.open = true};
  if (side_ == LinkSide::kAcceptor) return Step{};
  return Step{.send = Proof(self_.secrets->First(), ProvenText(LinkSide::kConnector), version_)};
}

absl::Status Handshake::ChooseVersion(const pb::Envelope& envelope) {
  const bool says = peer_.max_version() != 0;
  const uint32_t least = says ? peer_.min_version() : envelope.protocol_version();
  const uint32_t most = says ? peer_.max_version() : envelope.protocol_version();
  version_ = std::min(most, self_.max_version);
  if (version_ >= least && version_ >= self_.min_version) return absl::OkStatus();
  return FailedPrecondition("{} speaks protocol {}, this process {}", peer_address_,
                            Range(least, most), Range(self_.min_version, self_.max_version));
}

absl::Status Handshake::CheckNonce() const {
  if (!self_.secrets && !peer_.nonce().empty()) {
    return FailedPrecondition(
        "{} has a cluster secret and this process none: set security.cluster-secret-file",
        peer_address_);
  }
  if (self_.secrets && peer_.nonce().empty()) {
    return FailedPrecondition(
        "{} has no cluster secret, which this process asks for (security.cluster-secret-file)",
        peer_address_);
  }
  if (self_.secrets && peer_.nonce().size() != kNonceBytes) {
    return InvalidArgument("{} sent a nonce of {} bytes", peer_address_, peer_.nonce().size());
  }
  return absl::OkStatus();
}

absl::StatusOr<Handshake::Step> Handshake::OnProof(const pb::Envelope& envelope) {
  if (!envelope.has_hello_proof()) {
    return InvalidArgument("{} went on without a proof of the cluster secret", peer_address_);
  }
  const LinkSide prover = side_ == LinkSide::kAcceptor ? LinkSide::kConnector : LinkSide::kAcceptor;
  const auto secret = self_.secrets->FindSecretOf(envelope.hello_proof().mac(), ProvenText(prover));
  if (!secret) {
    return FailedPrecondition("{} ('{}') and this process have different cluster secrets",
                              peer_address_, peer_.id());
  }
  if (side_ == LinkSide::kConnector) return Step{.open = true};
  // With the connector's own secret: it may not know our first one yet, or not any more.
  return Step{.send = Proof(*secret, ProvenText(LinkSide::kAcceptor), version_), .open = true};
}

std::string Handshake::ProvenText(LinkSide prover) const {
  const bool connects = side_ == LinkSide::kConnector;
  return fmt::format("baton link\nprover={}\nversion={}\nconnector={}\nacceptor={}\n",
                     prover == LinkSide::kConnector ? "connector" : "acceptor", version_,
                     Sha256Hex(connects ? first_frame_ : peer_frame_),
                     Sha256Hex(connects ? peer_frame_ : first_frame_));
}

}  // namespace baton
