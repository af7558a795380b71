// FrameTransport over TCP (Boost.Asio).

#pragma once

#include "base/asio_executor.h"
#include "rpc/frame_transport.h"

namespace baton {

// Sockets live on the pool, which must outlive every connection. TCP_NODELAY is set.
FrameTransportPtr NewAsioFrameTransport(ThreadPool& pool);

}  // namespace baton
