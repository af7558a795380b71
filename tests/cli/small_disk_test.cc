// The disk that a run of chaos fills: full, with room again, and nobody else's.

#include "cli/cluster/small_disk.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

class SmallDiskTest : public testing::Test {
 protected:
  SmallDiskTest() { fs::create_directories(directory_); }

  // `inside`: in a thread of its own, so that this one's mounts stay the machine's. `outside`: in
  // this one, after it, while the disk is there.
  void WithDisk(
      const std::function<void(SmallDisk&)>& inside, const std::function<void()>& outside = [] {}) {
    absl::Status made;
    std::promise<void> was_inside, was_outside;
    std::thread thread([&] {
      auto disk = SmallDisk::Make(directory_);
      made = disk.status();
      if (disk.ok()) inside(**disk);
      was_inside.set_value();
      was_outside.get_future().wait();
    });
    was_inside.get_future().wait();
    if (made.ok()) outside();
    was_outside.set_value();
    thread.join();
    if (absl::IsFailedPrecondition(made)) GTEST_SKIP() << made;
    EXPECT_TRUE(made.ok()) << made;
  }

  bool Writes(const std::string& name, size_t bytes) const {
    std::ofstream file(directory_ / name, std::ios::binary);
    file << std::string(bytes, 'x');
    return static_cast<bool>(file.flush());
  }

  const TemporaryDirectory base_;
  const fs::path directory_ = fs::path(base_.path()) / "store";
};

TEST_F(SmallDiskTest, IsFullAndHasRoomAgain) {
  WithDisk([this](SmallDisk& disk) {
    EXPECT_TRUE(Writes("before", 100'000));
    for (int round = 0; round < 2; ++round) {
      EXPECT_TRUE(disk.Fill(0).ok());
      EXPECT_FALSE(Writes("refused", 4096));
      fs::remove(directory_ / "refused");
      EXPECT_TRUE(disk.Fill(1 << 20).ok());
      EXPECT_TRUE(Writes("little", 100'000));
      EXPECT_FALSE(Writes("much", 2 << 20));
      fs::remove(directory_ / "much");
      EXPECT_TRUE(disk.Free().ok());
      EXPECT_TRUE(Writes("after", 2 << 20));
    }
  });
}

TEST_F(SmallDiskTest, IsSeenByNobodyElseAndLeavesWhatItHeld) {
  WithDisk(
      [this](SmallDisk&) {
        fs::create_directories(directory_ / "below");
        EXPECT_TRUE(Writes("below/kept", 5));
      },
      [this] { EXPECT_TRUE(fs::is_empty(directory_)); });
  if (IsSkipped()) return;
  EXPECT_EQ(fs::file_size(directory_ / "below/kept"), 5u);
}

}  // namespace
}  // namespace baton
