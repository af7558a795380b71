#include "cli/cluster/haproxy_config.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "cli/cluster/cluster_state.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

// HAProxy's own opinion of a configuration; a machine without HAProxy fails the test.
int HaproxyCheck(const std::string& config) {
  const std::string file =
      std::filesystem::temp_directory_path() / ("haproxy-test-" + std::to_string(getpid()));
  EXPECT_TRUE(WriteFile(file, config).ok());
  const int status = std::system(("/usr/sbin/haproxy -c -f " + file).c_str());
  std::filesystem::remove(file);
  return status;
}

TEST(HaproxyConfig, TheShippedFileIsValid) {
  EXPECT_EQ(HaproxyCheck(std::string(ShippedHaproxyConfig())), 0);
}

TEST(HaproxyConfig, ARenderedFileIsValidAndDiffersOnlyBetweenTheMarks) {
  auto config = RenderHaproxyConfig(ShippedHaproxyConfig(), "127.0.0.1:12345",
                                    {{"r1", "127.0.0.1:1001"}, {"r2", "127.0.0.1:1002"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(HaproxyCheck(*config), 0);
  EXPECT_NE(config->find("    bind 127.0.0.1:12345\n"), std::string::npos);
  EXPECT_NE(config->find("    server r2 127.0.0.1:1002\n"), std::string::npos);
  EXPECT_EQ(config->find("10.0.0."), std::string::npos);
  EXPECT_EQ(config->find(":8080"), std::string::npos);
  // Putting the shipped lines back gives the shipped file.
  auto back = RenderHaproxyConfig(*config, ":8080",
                                  {{"replica-1", "10.0.0.1:8081"},
                                   {"replica-2", "10.0.0.2:8081"},
                                   {"replica-3", "10.0.0.3:8081"}});
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, ShippedHaproxyConfig());
}

TEST(HaproxyConfig, AFileWithoutMarksIsRefused) {
  auto config = RenderHaproxyConfig("frontend x\n", ":1", {});
  EXPECT_TRUE(absl::IsInvalidArgument(config.status()));
}

TEST(HaproxyConfig, KeepsWhatAFailoverNeeds) {
  const std::string shipped(ShippedHaproxyConfig());
  for (const char* line :
       {"\n    retry-on conn-failure empty-response\n", "\n    option http-buffer-request\n",
        "\n    option redispatch 1\n", "\n    tune.bufsize 131072\n", "\n    retries 3\n",
        "disable-l7-retry if METH_POST !{ req.hdr(Idempotency-Key) -m found }\n"}) {
    EXPECT_NE(shipped.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace baton
