#include "base/status.h"

namespace baton {

absl::Status At(std::string_view place, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", place, Message(status)));
}

}  // namespace baton
