// SHA-256, the name of everything immutable.

#pragma once

#include <string>
#include <string_view>

namespace baton {

// 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace baton
