// The client's half of the embedded coordination service.

#pragma once

#include "ha/embedded_coordination.h"

namespace baton::embedded {

// `client` is one of NewEmbeddedClient.
ClientId IdOf(const CoordinationClient& client);

}  // namespace baton::embedded
