#include "entrypoint/directories.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/config_options.h"

namespace baton {
namespace {

class DirectoriesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "baton-dir-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static Config With(const std::vector<std::string>& overrides) {
    return *Config::Load("", overrides);
  }

  std::string directory_;
};

TEST_F(DirectoriesTest, EverythingIsBelowTheWorkingDirectoryUnlessSaidOtherwise) {
  const Config config = With({"process.working-dir=/d/"});
  EXPECT_EQ(WorkingDirectoryOf(config), "/d");
  EXPECT_EQ(StoreDirectoryOf(config), "/d/store");
  EXPECT_EQ(TaskDirectoryOf(config), "/d/tasks");
  EXPECT_EQ(StoreDirectoryOf(With({"process.working-dir=/d", "store.directory=/s"})), "/s");
  EXPECT_EQ(TaskDirectoryOf(With({"taskmanager.work-directory=/t"})), "/t");
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
