// Where a process keeps what it keeps: process.working-dir and what overrides parts of it.

#pragma once

#include <string>

#include "base/config.h"

namespace baton {

// Absolute; not made yet.
std::string WorkingDirectoryOf(const Config& config);
std::string StoreDirectoryOf(const Config& config);
std::string TaskDirectoryOf(const Config& config);
// Of a process that is the whole cluster: its tasks are all on this machine, and share one without
// anybody's doing.
std::string OwnSharedDirectoryOf(const Config& config);

}  // namespace baton
