// Three replicas that may lead, one of whom does, in virtual time.

#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "ha/leader_election.h"
#include "tests/ha/election_cluster.h"

namespace baton {

// Its parameter is a seed; election_test.cc says which.
class ElectionTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ElectionTest() : cluster_(GetParam()) {
    log::SetSink([this](log::Level level, const std::string& line) {
      if (level == log::Level::kError) errors_.push_back(line);
    });
  }
  ~ElectionTest() override { log::SetSink(nullptr); }

  // Three members, one of whom leads.
  TestReplica& StartThree() {
    cluster_.MakeMembers({"a", "b", "c"});
    for (const char* id : {"a", "b", "c"}) cluster_.AddAndStart(id);
    TestReplica* leader = cluster_.AwaitLeader(std::chrono::seconds(1));
    cluster_.Advance(std::chrono::milliseconds(100));
    return *leader;
  }

  std::optional<absl::Status> HandOver(TestReplica& replica) {
    std::optional<absl::Status> result;
    replica.Run([&] {
      replica.election->HandOver([&](absl::Status status) { result = std::move(status); });
    });
    cluster_.RunUntil([&] { return result.has_value(); });
    return result;
  }

  ElectionCluster cluster_;
  std::vector<std::string> errors_;
};

}  // namespace baton
