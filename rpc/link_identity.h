// Who a process is on its links: what it says of itself, what it proves, which versions it speaks.

#pragma once

#include <cstdint>
#include <utility>

#include "base/random.h"
#include "rpc/cluster_secret.h"
#include "rpc/messages.pb.h"

namespace baton {

// Grows when a message changes in a way that a reader of the version before would misunderstand;
// new fields and new kinds of messages need none. A release speaks the version before its own too,
// so that a cluster can be upgraded one process after the other.
inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr uint32_t kMinProtocolVersion = 1;

struct LinkIdentity {
  // NOLINTNEXTLINE(google-explicit-constructor): a Hello is an identity, of one without a secret
  LinkIdentity(pb::Hello self) : hello(std::move(self)) {}
  // `random` makes the nonces.
  LinkIdentity(pb::Hello self, ClusterSecretsPtr known, RandomPtr source)
      : hello(std::move(self)), secrets(std::move(known)), random(std::move(source)) {}

  pb::Hello hello;            // without versions and nonce
  ClusterSecretsPtr secrets;  // null: none is proven, and none accepted
  RandomPtr random;
  uint32_t min_version = kMinProtocolVersion;
  uint32_t max_version = kProtocolVersion;
};

}  // namespace baton
