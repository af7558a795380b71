// The C client's own log, kept to what is new: while the quorum is down it repeats itself with
// every attempt.

#pragma once

namespace baton::zookeeper {

// To be given to zookeeper_init2; any thread.
void LogFromClient(const char* message);

// Connected: what was said before may be said again.
void ForgetLoggedMessages();

}  // namespace baton::zookeeper
