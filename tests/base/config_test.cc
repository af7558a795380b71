#include "base/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/config_options.h"
#include "base/config_values.h"
#include "base/status.h"

namespace baton {
namespace {

namespace o = options;

std::string ReadSource(const std::string& path) {
  std::ifstream stream(std::string(BATON_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(stream) << path;
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string ProblemsOf(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  const auto config = Config::Parse(yaml, "f", overrides);
  if (config.ok()) return "";
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  return Message(config.status());
}

TEST(ConfigTest, EveryDefaultIsAValidValueAndTheDefaultsGoTogether) {
  for (const OptionSpec* option : o::All()) {
    EXPECT_EQ(ValueProblem(*option, option->default_text), "") << option->key;
    EXPECT_FALSE(option->description.empty()) << option->key;
  }
  EXPECT_TRUE(Config::Load("").ok());
}

TEST(ConfigTest, EveryDeclaredOptionIsListedOnce) {
  const std::string header = ReadSource("base/config_options.h");
  size_t declared = 0;
  for (size_t at = 0; (at = header.find("constexpr ConfigOption<", at)) != header.npos; ++at) {
    ++declared;
  }
  std::set<std::string_view> keys;
  for (const OptionSpec* option : o::All()) keys.insert(option->key);
  EXPECT_EQ(declared, o::All().size());
  EXPECT_EQ(keys.size(), o::All().size());
}

TEST(ConfigTest, TheSampleShowsEveryOptionWithItsDefaultAndDescription) {
  const std::string sample = ReadSource("deploy/baton.yaml.sample");
  const auto config = Config::Parse(sample, "sample");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->Effective(), Config::Load("")->Effective());
  std::string flat = sample;  // descriptions in one line each
  for (size_t at; (at = flat.find("\n# ")) != flat.npos;) flat.replace(at, 3, " ");
  for (const OptionSpec* option : o::All()) {
    EXPECT_TRUE(config->IsSet(*option)) << option->key;
    EXPECT_NE(flat.find(option->description), std::string::npos) << option->key;
  }
}

TEST(ConfigTest, NestedAndDottedKeysMeanTheSame) {
  for (const char* yaml :
       {"high-availability.type: zookeeper\nhigh-availability.zookeeper.quorum: h:1,h:2\n",
        "high-availability:\n  type: zookeeper\n  zookeeper: {quorum: 'h:1,h:2'}\n",
        "high-availability:\n  type: zookeeper\n  zookeeper.quorum: [h:1, h:2]\n"}) {
    const auto config = Config::Parse(yaml, "f");
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->Get(o::kHaType), "zookeeper");
    EXPECT_EQ(config->Get(o::kZooKeeperQuorum), "h:1,h:2");
  }
}

TEST(ConfigTest, EveryKindOfValue) {
  const auto config = Config::Parse(
      "rest.port: 0\nrest.leader-wait: 5 s\nrest.max-body-bytes: 1 mb\n"
      "security.allow-unauthenticated: true\nreplica.id: r1\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->Get(o::kRestPort), 0);
  EXPECT_EQ(config->Get(o::kRestLeaderWait), std::chrono::seconds(5));
  EXPECT_EQ(config->Get(o::kRestMaxBodyBytes).value, 1u << 20);
  EXPECT_TRUE(config->Get(o::kAllowUnauthenticated));
  EXPECT_EQ(config->Get(o::kReplicaId), "r1");
  EXPECT_FALSE(config->IsSet(o::kRpcPort));
  EXPECT_EQ(config->Get(o::kRpcPort), 6123);
}

TEST(ConfigTest, AnEmptyFileIsAllDefaults) {
  EXPECT_EQ(ProblemsOf(""), "");
  EXPECT_EQ(ProblemsOf("# nothing\n"), "");
}

TEST(ConfigTest, AnOverrideWinsOverTheFile) {
  const auto config = Config::Parse("rest.port: 1\n", "f", {"rest.port=2", "replica.id=a=b"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->Get(o::kRestPort), 2);
  EXPECT_EQ(config->Get(o::kReplicaId), "a=b");
}

TEST(ConfigTest, EveryProblemIsNamedWithItsKeyAndLine) {
  EXPECT_EQ(ProblemsOf("rest.prot: 1\n\nrest:\n  port: x\n  address: {a: b}\nrpc.port: 70000\n"
                       "io.threads:\n",
                       {"nothing", "no.key=1", "rest.port=-1"}),
            "f:1: unknown key \"rest.prot\"; did you mean \"rest.port\"?\n"
            "f:4: rest.port: must be an integer, not \"x\"\n"
            "f:5: unknown key \"rest.address.a\"; did you mean \"rest.address\"?\n"
            "f:6: rpc.port: must be 0..65535, not 70000\n"
            "f:7: io.threads: has no value; write \"\" for an empty text\n"
            "-D \"nothing\": must be key=value\n"
            "-D: unknown key \"no.key\"\n"
            "-D rest.port: must be 0..65535, not -1");
}

TEST(ConfigTest, WrongKindsOfValues) {
  EXPECT_EQ(ProblemsOf("rest.leader-wait: 20\n"),
            "f:1: rest.leader-wait: \"20\": needs a unit, as \"10 min\" or \"250 ms\"");
  EXPECT_EQ(ProblemsOf("security.allow-unauthenticated: yes\n"),
            "f:1: security.allow-unauthenticated: must be true or false, not \"yes\"");
  EXPECT_EQ(ProblemsOf("high-availability.type: zoo\n"),
            "f:1: high-availability.type: must be one of none|zookeeper, not \"zoo\"");
  EXPECT_EQ(ProblemsOf("rest.port: [1]\n"), "f:1: rest.port: must be a single value");
  EXPECT_EQ(ProblemsOf("- a\n"), "f:1: must be a map of keys to values");
  EXPECT_EQ(ProblemsOf("a: [\n").substr(0, 2), "f:");
}

TEST(ConfigTest, AKeyThatIsSetTwiceIsAnErrorHoweverItIsSpelt) {
  EXPECT_EQ(ProblemsOf("rest.port: 1\nrest:\n  port: 2\n"), "f:3: rest.port: is set twice");
  EXPECT_EQ(ProblemsOf("rest.port: 1\nrest.port: 2\n"), "f:2: rest.port: is set twice");
}

TEST(ConfigTest, ValuesThatDoNotGoTogetherAreAllNamed) {
  EXPECT_EQ(ProblemsOf("high-availability.type: zookeeper\ntaskmanager.lease: 18999 ms\n"
                       "rest.address: 10.0.0.1\nhigh-availability.cluster-id: a/b\n"),
            "high-availability.zookeeper.quorum: is needed with high-availability.type zookeeper\n"
            "high-availability.cluster-id: must be a name without /\n"
            "taskmanager.lease: must be at least 1.5 session timeouts + 4 s = 19 s, not 18999 ms\n"
            "rest.address: \"10.0.0.1\" is not loopback, which needs "
            "security.allow-unauthenticated: true");
  EXPECT_EQ(ProblemsOf("taskmanager.lease: 19 s\n"), "");
  EXPECT_EQ(ProblemsOf("rest.address: 10.0.0.1\nsecurity.allow-unauthenticated: true\n"), "");
}

TEST(ConfigTest, LinksToOtherHostsNeedASecret) {
  const std::string needs =
      " is not loopback, which needs security.cluster-secret-file (or "
      "security.allow-unauthenticated: true)";
  EXPECT_EQ(ProblemsOf("rpc.address: 10.0.0.1\n"), "rpc.address: \"10.0.0.1\"" + needs);
  const std::string worker =
      "taskmanager.liveness.address: 10.0.0.21:1\n"
      "taskmanager.dispatchers: 127.0.0.1:6123,10.0.0.1:6123\n";
  EXPECT_EQ(ProblemsOf(worker), "taskmanager.dispatchers: \"10.0.0.1:6123\"" + needs);
  for (const std::string& yaml : {worker, std::string("rpc.address: 10.0.0.1\n")}) {
    EXPECT_EQ(ProblemsOf(yaml + "security.cluster-secret-file: /s\n"), "");
    EXPECT_EQ(ProblemsOf(yaml + "security.allow-unauthenticated: true\n"), "");
  }
  EXPECT_NE(ProblemsOf("rest.address: 10.0.0.1\nsecurity.cluster-secret-file: /s\n"), "")
      << "the secret says nothing to REST";
}

TEST(ConfigTest, ANameThatLooksLikeLoopbackIsNot) {
  for (const std::string name : {"127.example.com", "127.0.0.1.example.com", "127.", "127.0.0.1x",
                                 "localhost.example.com", "::1.example.com"}) {
    EXPECT_NE(ProblemsOf("rest.address: \"" + name + "\"\n"), "") << name;
    EXPECT_NE(ProblemsOf("rpc.address: \"" + name + "\"\n"), "") << name;
    EXPECT_NE(ProblemsOf("taskmanager.liveness.address: 10.0.0.21:1\n"
                         "taskmanager.dispatchers: \"" +
                         name + ":6123\"\n"),
              "")
        << name;
  }
  for (const std::string address : {"127.0.0.1", "127.1.2.3", "127.255.255.255", "localhost"}) {
    EXPECT_EQ(ProblemsOf("rest.address: " + address + "\nrpc.address: " + address +
                         "\ntaskmanager.dispatchers: " + address + ":6123\n"),
              "")
        << address;
  }
  EXPECT_EQ(ProblemsOf("rest.address: \"::1\"\nrpc.address: \"::1\"\n"
                       "taskmanager.dispatchers: \"[::1]:6123\"\n"),
            "");
}

// A refused connection there is taken for the death of the process.
TEST(ConfigTest, AnAddressThatMeansAnotherMachineToOthersIsRefused) {
  const auto fails = [](const std::string& yaml, const std::string& key) {
    const auto config = Config::Parse("security.allow-unauthenticated: true\n" + yaml, "x");
    return !config.ok() && Message(config.status()).find(key + ":") != std::string::npos;
  };
  EXPECT_TRUE(fails("rpc.address: 0.0.0.0", "rpc.address"));
  EXPECT_FALSE(fails("rpc.address: 0.0.0.0\nrpc.advertised-address: 10.0.0.1:6123", "rpc.address"));
  const std::string key = "taskmanager.liveness.address";
  const std::string remote = "taskmanager.dispatchers: 10.0.0.1:6123\n";
  EXPECT_TRUE(fails(remote, key)) << "the default is loopback";
  EXPECT_TRUE(fails(key + ": \"[::]:6124\"", key));
  EXPECT_FALSE(fails(remote + key + ": 10.0.0.21:6124", key));
  EXPECT_FALSE(fails("taskmanager.dispatchers: 127.0.0.1:6123, localhost:6124", key));
}

TEST(ConfigTest, AFileThatIsNotThere) {
  EXPECT_EQ(Config::Load("/nonexistent/baton.yaml").status().code(), absl::StatusCode::kNotFound);
}

TEST(ConfigTest, WithoutZooKeeperOneCopyIsEnough) {
  EXPECT_EQ(MinCopies(*Config::Load("")), 1);
  EXPECT_EQ(MinCopies(*Config::Load("", {"high-availability.type=zookeeper",
                                         "high-availability.zookeeper.quorum=h:1"})),
            2);
}

TEST(ConfigTest, Lists) {
  EXPECT_EQ(SplitList("a:1, b:2 ,,c"), (std::vector<std::string>{"a:1", "b:2", "c"}));
  EXPECT_TRUE(SplitList(" , ").empty());
}

}  // namespace
}  // namespace baton
