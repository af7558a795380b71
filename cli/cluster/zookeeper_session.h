// Ends somebody else's session with ZooKeeper, as an administrator would if there were a command
// for it: joins the session with its own id and password, and closes it.
//
// Threading: any thread; blocks for at most a few times `patience`.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace baton {

// The session that this log of a dispatcher names last; 0: none.
int64_t LastSessionIn(const std::string& log_file);

// `address`: host:port of a ZooKeeper server. kFailedPrecondition: it knows no such session.
// kUnavailable: it does not answer.
absl::Status EndZooKeeperSession(const std::string& address, int64_t session_id,
                                 std::chrono::seconds patience = std::chrono::seconds(10));

}  // namespace baton
