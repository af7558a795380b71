// Errors. A code says what the caller must do; the message says what is wrong and where.
//
//   kInvalidArgument     the input is bad; do not repeat it
//   kNotFound, kAlreadyExists, kFailedPrecondition (a version or state differs)
//   kResourceExhausted   a limit is reached; come back later (REST: 429)
//   kUnavailable         nothing was done; try again (REST: 503)
//   kAborted             deposed, closed or cancelled; the work belongs to somebody else now
//   kUnknown             the outcome is unknown: read back before anything else
//   kDataLoss            bytes that fail their digest
//   kInternal            a bug, or a library's error that has no better name

#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fmt/core.h"

namespace baton {

namespace status_internal {
template <class... Args>
absl::Status Make(absl::StatusCode code, fmt::format_string<Args...> format, Args&&... args) {
  return absl::Status(code, fmt::format(format, std::forward<Args>(args)...));
}
}  // namespace status_internal

// Debian's abseil has a string_view of its own: messages are built with fmt and read back as text.
#define BATON_STATUS_MAKER(Name, code)                                       \
  template <class... Args>                                                   \
  absl::Status Name(fmt::format_string<Args...> format, Args&&... args) {    \
    return status_internal::Make(code, format, std::forward<Args>(args)...); \
  }
BATON_STATUS_MAKER(InvalidArgument, absl::StatusCode::kInvalidArgument)
BATON_STATUS_MAKER(NotFound, absl::StatusCode::kNotFound)
BATON_STATUS_MAKER(AlreadyExists, absl::StatusCode::kAlreadyExists)
BATON_STATUS_MAKER(FailedPrecondition, absl::StatusCode::kFailedPrecondition)
BATON_STATUS_MAKER(ResourceExhausted, absl::StatusCode::kResourceExhausted)
BATON_STATUS_MAKER(Unavailable, absl::StatusCode::kUnavailable)
BATON_STATUS_MAKER(DeadlineExceeded, absl::StatusCode::kDeadlineExceeded)
BATON_STATUS_MAKER(Aborted, absl::StatusCode::kAborted)
BATON_STATUS_MAKER(Unknown, absl::StatusCode::kUnknown)
BATON_STATUS_MAKER(DataLoss, absl::StatusCode::kDataLoss)
BATON_STATUS_MAKER(Internal, absl::StatusCode::kInternal)
#undef BATON_STATUS_MAKER

inline std::string Message(const absl::Status& status) { return std::string(status.message()); }

// "NOT_FOUND: no such job"
inline std::string Describe(const absl::Status& status) { return status.ToString(); }

// The same code, with the place in front of the message.
absl::Status At(std::string_view place, const absl::Status& status);

}  // namespace baton
