#include "entrypoint/directories.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/config_options.h"

namespace baton {
namespace {

Config With(const std::vector<std::string>& overrides) { return *Config::Load("", overrides); }

TEST(DirectoriesTest, EverythingIsBelowTheWorkingDirectoryUnlessSaidOtherwise) {
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

}  // namespace
}  // namespace baton
