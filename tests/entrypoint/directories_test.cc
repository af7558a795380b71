#include "entrypoint/directories.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/config_options.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

class DirectoriesTest : public ::testing::Test {
 protected:
  static Config With(const std::vector<std::string>& overrides) {
    return *Config::Load("", overrides);
  }

  const TemporaryDirectory place_;
  const std::string& directory_ = place_.path();
};

TEST_F(DirectoriesTest, EverythingIsBelowTheWorkingDirectoryUnlessSaidOtherwise) {
  const Config config = With({"process.working-dir=/d/"});
  EXPECT_EQ(WorkingDirectoryOf(config), "/d");
  EXPECT_EQ(StoreDirectoryOf(config), "/d/store");
  EXPECT_EQ(TaskDirectoryOf(config), "/d/tasks");
  EXPECT_EQ(StoreDirectoryOf(With({"process.working-dir=/d", "store.directory=/s"})), "/s");
  EXPECT_EQ(TaskDirectoryOf(With({"taskmanager.work-directory=/t"})), "/t");
  EXPECT_EQ(OwnSharedDirectoryOf(config), "/d/shared");
  EXPECT_EQ(OwnSharedDirectoryOf(With({"taskmanager.shared-directory=/m"})), "/m");
  EXPECT_EQ(WorkingDirectoryOf(With({})),
            (std::filesystem::current_path() / "baton-data").string());
}

TEST_F(DirectoriesTest, ADirectoryHasOneHolderWhoIsNamed) {
  const std::string below = directory_ + "/a/b";
  auto first = DirectoryLock::Take(below);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = DirectoryLock::Take(below);
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_NE(second.status().message().find("process " + std::to_string(getpid())),
            std::string::npos)
      << second.status();
  first->reset();
  EXPECT_TRUE(DirectoryLock::Take(below).ok());
}

}  // namespace
}  // namespace baton
