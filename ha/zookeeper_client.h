// The coordination client on ZooKeeper's own C client (libzookeeper_mt, asynchronous calls only).
//
// The C client's threads do nothing but post. Every event carries the generation of its handle, and
// those of an older one are dropped. After EXPIRED a new handle is made; handles are made and
// closed on threads of their own, because making one may wait for DNS and closing one joins its
// threads.
//
// A quorum none of whose hosts resolves is tried again until one does; the session stays
// kConnecting.

#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "ha/coordination_client.h"

namespace baton {

struct ZooKeeperOptions {
  std::string quorum;  // "host:port,host:port" with an optional "/chroot" that must exist
  Duration session_timeout =
      std::chrono::seconds(10);  // the server bounds it to 2..20 of its ticks
  ExecutorPtr executor;
};

// Destroyed without Close it ends its session all the same. The executor may go once Close or the
// destructor has run on it; a process that exits waits up to 5 s for its sessions to end.
CoordinationClientPtr NewZooKeeperClient(ZooKeeperOptions options);

}  // namespace baton
