// The jobs of a drill, as JSON.

#pragma once

#include <string>

namespace baton {

// `tasks` tasks that write their start to <run>/long and then stay until they are cancelled.
std::string LongJobJson(const std::string& run, int tasks);
// One task that writes its start to <run>/small and ends.
std::string SmallJobJson(const std::string& run);

}  // namespace baton
