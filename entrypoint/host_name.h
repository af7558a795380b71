// The name that this machine gives itself; "localhost" if it has none.

#pragma once

#include <string>

namespace baton {

std::string HostName();

}  // namespace baton
