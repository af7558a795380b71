// Text from outside (a task's last words, a file name) that goes into a protobuf string: proto3
// refuses to read a record whose strings are not UTF-8, so one wild byte would make it unreadable.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace baton {

// `text` with each byte that is no part of valid UTF-8 replaced by '?', cut to at most `max_bytes`
// between characters.
std::string CleanUtf8(std::string_view text, size_t max_bytes);

}  // namespace baton
