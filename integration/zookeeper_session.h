// Ends somebody else's session with ZooKeeper, as an administrator would if there were a command
// for it: joins the session with its own id and password, and closes it.

#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace baton::integration {

// The session that this log of a dispatcher names last; 0: none.
int64_t LastSessionIn(const std::string& log_file);

// `address`: host:port of a ZooKeeper server. kFailedPrecondition: it knows no such session.
absl::Status EndZooKeeperSession(const std::string& address, int64_t session_id);

}  // namespace baton::integration
