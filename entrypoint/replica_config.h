// From the configuration to what a Replica and its daemon are made of.

#pragma once

#include "base/config.h"
#include "entrypoint/replica.h"
#include "rest/beast_server.h"

namespace baton {

ReplicaSettings ReplicaSettingsFrom(const Config& config);
HttpServerLimits HttpServerLimitsFrom(const Config& config);

}  // namespace baton
