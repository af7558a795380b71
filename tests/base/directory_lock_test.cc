#include "base/directory_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/temporary_directory.h"

namespace baton {
namespace {

TEST(DirectoryLockTest, ADirectoryHasOneHolderWhoIsNamed) {
  const TemporaryDirectory place;
  const std::string below = place.path() + "/a/b";
  auto first = DirectoryLock::Take(below, "some.key");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = DirectoryLock::Take(below, "some.key");
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  for (const std::string& told :
       {"process " + std::to_string(getpid()), std::string("(-D some.key=DIR)")}) {
    EXPECT_NE(second.status().message().find(told), std::string::npos) << second.status();
  }
  first->reset();
  EXPECT_TRUE(DirectoryLock::Take(below, "some.key").ok());
}

TEST(DirectoryLockTest, WhatCannotBeMadeIsNamed) {
  const auto taken = DirectoryLock::Take("/proc/no/such", "some.key");
  EXPECT_TRUE(absl::IsUnavailable(taken.status()));
  EXPECT_NE(taken.status().message().find("/proc/no/such"), std::string::npos) << taken.status();
}

}  // namespace
}  // namespace baton
