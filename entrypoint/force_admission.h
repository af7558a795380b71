// `baton-dispatcher --force-admission`: admits the replica of this configuration past every leader,
// says what it did, and ends (ha/forced_admission.h has the danger).

#pragma once

#include "base/config.h"

namespace baton {

// The exit code.
int RunForcedAdmission(const Config& config);

}  // namespace baton
