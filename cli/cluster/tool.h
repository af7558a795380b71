// Runs a program of the system (ip, nft) and takes what it prints.
//
// Threading: any thread; blocks until the program has ended. For programs that end by themselves.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace baton {

// `argv[0]` is looked for in PATH; `input` is its standard input. Its output where it exits with 0.
// kNotFound: there is no such program; kInternal: it failed, with what it said.
absl::StatusOr<std::string> RunTool(const std::vector<std::string>& argv,
                                    const std::string& input = "");

}  // namespace baton
