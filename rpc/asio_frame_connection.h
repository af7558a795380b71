// One TCP connection of the AsioFrameTransport.

#pragma once

#include <string>

#include "base/asio_executor.h"
#include "rpc/frame_transport.h"

namespace baton {

// Takes over a connected TCP socket. Its callbacks come on `executor`; it reads and writes on a
// strand of its own of the pool. Once started it lives until it is closed (by either side) and what
// was queued before its own Close is written, for at most a second.
FrameConnectionPtr NewAsioFrameConnection(ThreadPool& pool, int socket, std::string peer_address,
                                          ExecutorPtr executor);

}  // namespace baton
