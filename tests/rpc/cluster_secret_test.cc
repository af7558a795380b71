#include "rpc/cluster_secret.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/manual_executor.h"
#include "base/status.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

constexpr char kOne[] = "the first secret of the cluster";
constexpr char kTwo[] = "another secret, 16 bytes or more";

class ClusterSecretTest : public testing::Test {
 protected:
  std::string Write(const std::string& text, mode_t mode = 0600) {
    const std::string file = directory_ + "/secret";
    std::filesystem::remove(file);
    std::ofstream(file) << text;
    EXPECT_EQ(chmod(file.c_str(), mode), 0);
    return file;
  }

  std::string ProblemOf(const std::string& text, mode_t mode = 0600) {
    return Message(ClusterSecrets::Load(Write(text, mode)).status());
  }

  const TemporaryDirectory place_;
  const std::string& directory_ = place_.path();
};

// RFC 4231, test case 2.
TEST_F(ClusterSecretTest, HmacIsThatOfTheRfc) {
  std::string hex;
  for (const unsigned char byte : HmacSha256("Jefe", "what do ya want for nothing?")) {
    hex += fmt::format("{:02x}", byte);
  }
  EXPECT_EQ(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_F(ClusterSecretTest, TheFirstLineProvesAndAllAreAccepted) {
  const auto loaded = ClusterSecrets::Load(Write(fmt::format("{}\r\n\n{} \n", kOne, kTwo)));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const ClusterSecrets& secrets = **loaded;
  EXPECT_EQ(secrets.First(), kOne);
  EXPECT_EQ(secrets.FindSecretOf(HmacSha256(kOne, "text"), "text"), kOne);
  EXPECT_EQ(secrets.FindSecretOf(HmacSha256(kTwo, "text"), "text"), kTwo);
  EXPECT_EQ(secrets.FindSecretOf(HmacSha256(kTwo, "text"), "other text"), std::nullopt);
  EXPECT_EQ(secrets.FindSecretOf(HmacSha256("a secret of strangers", "text"), "text"),
            std::nullopt);
  EXPECT_EQ(secrets.FindSecretOf("", "text"), std::nullopt);
}

TEST_F(ClusterSecretTest, AFileThatOthersCanReadIsRefused) {
  for (const mode_t mode : {0644, 0604, 0622, 0660, 0666}) {
    EXPECT_NE(ProblemOf(kOne, mode).find("is open to others"), std::string::npos) << mode;
  }
  for (const mode_t mode : {0600, 0400, 0700}) EXPECT_EQ(ProblemOf(kOne, mode), "") << mode;
}

TEST_F(ClusterSecretTest, WhatIsNoSecretIsRefusedWithItsPlace) {
  EXPECT_NE(ProblemOf("").find("holds no secret"), std::string::npos);
  EXPECT_NE(ProblemOf("\n \n").find("holds no secret"), std::string::npos);
  EXPECT_NE(ProblemOf(fmt::format("{}\nshort\n", kOne)).find("secret:2: a secret of 5 bytes"),
            std::string::npos);
  std::string many;
  for (int i = 0; i < 9; ++i) many += fmt::format("{} number {}\n", kOne, i);
  EXPECT_NE(ProblemOf(many).find("more than 8"), std::string::npos);
  EXPECT_NE(ProblemOf(std::string(20'000, 'x')).find("larger than"), std::string::npos);
  EXPECT_FALSE(ClusterSecrets::Load(directory_ + "/none").ok());
  EXPECT_FALSE(ClusterSecrets::Load(directory_).ok());
}

TEST_F(ClusterSecretTest, AChangedFileCountsSoonAndABadOneChangesNothing) {
  ManualScheduler scheduler(1);
  const auto executor = scheduler.NewExecutor("files");
  auto secrets = *ClusterSecrets::Load(Write(kOne));
  KeepFresh(secrets, executor);
  Write(fmt::format("{}\n{}\n", kTwo, kOne));
  scheduler.AdvanceBy(std::chrono::seconds(11));
  EXPECT_EQ(secrets->First(), kTwo);
  Write("short");
  scheduler.AdvanceBy(std::chrono::seconds(11));
  EXPECT_EQ(secrets->First(), kTwo);
  std::filesystem::remove(directory_ + "/secret");
  scheduler.AdvanceBy(std::chrono::seconds(11));
  EXPECT_EQ(secrets->First(), kTwo);
  Write(kOne);
  scheduler.AdvanceBy(std::chrono::seconds(11));
  EXPECT_EQ(secrets->First(), kOne);
}

}  // namespace
}  // namespace baton
