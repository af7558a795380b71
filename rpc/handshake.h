// How two processes begin: Hello both ways, then, where there is a cluster secret, a proof both
// ways. A state machine without connection or clock; the RpcLink carries its frames.
//
//   connector                                     acceptor
//     Hello{cluster, versions, nonce}  ──────►
//                      ◄──────  Hello{cluster, versions, nonce}
//     HelloProof{HMAC(secret, "connector" + both Hellos)}  ──────►   checks it
//     checks it   ◄──────  HelloProof{HMAC(secret, "acceptor" + both Hellos)}
//
// The proof covers both first frames as they were sent: nonces, cluster ids, roles, names and the
// versions that were offered (none can be talked down). Each direction has a label of its own, so
// that sending a proof back to its maker proves nothing; and the acceptor makes none before it has
// seen one, so that strangers get nothing to guess at. Whoever can change packets can still take
// over a connection after its proofs: that takes TLS.
//
// Lives inside one RpcLink, on its executor, until the link is open.

#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "rpc/link_identity.h"

namespace baton {

enum class LinkSide { kConnector, kAcceptor };

class Handshake {
 public:
  // Larger ones are not read from strangers.
  static constexpr size_t kMaxFrameBytes = 16 << 10;

  Handshake(const LinkIdentity& self, LinkSide side, std::string peer_address);

  const std::string& first_frame() const { return first_frame_; }

  struct Step {
    std::string send;  // empty: nothing
    bool open = false;
  };
  // `envelope` is what `frame` says. kFailedPrecondition: another cluster, no common version, no
  // proof of the secret; kInvalidArgument: not a handshake; or what the other side says is wrong.
  absl::StatusOr<Step> OnFrame(const std::string& frame, const pb::Envelope& envelope);

  // Once it is open:
  const pb::Hello& peer() const { return peer_; }
  uint32_t version() const { return version_; }

 private:
  absl::StatusOr<Step> OnHello(const std::string& frame, const pb::Envelope& envelope);
  absl::StatusOr<Step> OnProof(const pb::Envelope& envelope);
  absl::Status ChooseVersion(const pb::Envelope& envelope);
  absl::Status CheckNonce() const;
  std::string ProvenText(LinkSide prover) const;

  const LinkIdentity self_;
  const LinkSide side_;
  const std::string peer_address_;
  std::string first_frame_;
  std::string peer_frame_;  // its Hello; empty: not yet come
  pb::Hello peer_;
  uint32_t version_ = 0;
};

}  // namespace baton
