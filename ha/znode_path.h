// What a coordination call may carry, checked before it is sent: ZooKeeper closes the connection on
// a request that is too large, which would look like a network fault to everybody (P8).

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "ha/coordination_client.h"

namespace baton {

// ZooKeeper's jute.maxbuffer is 1 MiB - 1; the rest is for its own framing.
inline constexpr size_t kMaxCoordinationRequestBytes = 1'000'000;

// What `ops` take on the wire, rounded up: the only estimate, so that what one layer accepts is not
// refused by the next. That of two lists together is the sum of theirs.
size_t RequestBytes(const std::vector<CoordinationOp>& ops);

// "/" or "/a/b": absolute, no empty, "." or ".." part, no trailing slash. Else kInvalidArgument.
absl::Status ValidateZnodePath(std::string_view path);

// The paths of `ops`, their number (at least one) and their size. Else kInvalidArgument.
absl::Status ValidateOps(const std::vector<CoordinationOp>& ops);

// "/a" of "/a/b", "/" of "/a"; `path` is valid and not "/".
std::string ParentOf(std::string_view path);
// "b" of "/a/b".
std::string NameOf(std::string_view path);

}  // namespace baton
