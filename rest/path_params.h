// Parameters of a path or query as values. What cannot be read is answered with 400 that names the
// parameter and the text.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "rest/router.h"

namespace baton {

absl::StatusOr<JobId> JobIdParam(const RoutedRequest& request);
absl::StatusOr<uint32_t> NumberParam(const RoutedRequest& request, const std::string& name);
absl::StatusOr<uint64_t> NumberQuery(const RoutedRequest& request, const std::string& name,
                                     uint64_t otherwise, uint64_t most);
// Absent: false.
absl::StatusOr<bool> FlagQuery(const RoutedRequest& request, const std::string& name);

}  // namespace baton
