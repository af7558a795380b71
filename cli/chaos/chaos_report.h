// The report of a run of chaos, for people and for programs.

#pragma once

#include <string>

#include "cli/chaos/chaos.h"

namespace baton {

std::string ToJson(const ChaosReport& report);
std::string ToMarkdown(const ChaosReport& report);

}  // namespace baton
