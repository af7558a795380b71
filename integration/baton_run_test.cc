// `baton run`: a cluster for one job, whose outcome is the exit code, and nothing is left.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "cli/cluster/process.h"
#include "fmt/core.h"
#include "integration/cluster_test.h"
#include "integration/embedded_fixture.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

class BatonRun : public EmbeddedFixture {
 protected:
  std::string Binary() {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "baton").string();
  }

  ProcessId Begin(const std::string& job_json, std::vector<std::string> arguments = {}) {
    file_ = directory() + ".json";
    std::ofstream(file_) << job_json;
    SpawnSpec spec;
    spec.argv = {Binary(), "run", file_, "-D", "taskmanager.shared-directory=" + Shared()};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.env = {{"TMPDIR", Shared()}};
    spec.directory = "/";
    spec.log_file = Log();
    spec.lifetime = Lifetime::kWithThisProcess;
    auto process = Spawn(spec);
    EXPECT_TRUE(process.ok()) << process.status();
    return *process;
  }
  std::string End(const ProcessId& process) {
    std::optional<std::string> how;
    EXPECT_TRUE(Eventually([&] { return (how = ReapIfEnded(process)).has_value(); },
                           std::chrono::seconds(60)))
        << Output();
    return how.value_or("");
  }
  std::string Run(const std::string& job_json, std::vector<std::string> arguments = {}) {
    return End(Begin(job_json, std::move(arguments)));
  }

  std::string Shared() { return std::filesystem::path(directory()).parent_path(); }
  std::string Log() { return directory() + ".out"; }
  std::string Output() {
    std::ifstream file(Log());
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  // With an id, so that its processes can be found.
  static std::string WithId(std::string job_json, const std::string& id) {
    return job_json.insert(1, fmt::format(R"("jobid":"{}",)", id));
  }
  size_t LeftDirectories() {
    size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(Shared())) {
      left += entry.path().filename().string().starts_with("baton-run.");
    }
    return left;
  }

  std::string file_;
};

constexpr char kSaying[] =
    R"({"name":"n","vertices":[{"id":"v","command":["sh","-c","echo out; echo err >&2; exit 7"]}]})";

TEST_F(BatonRun, AFinishedJobIsZeroAndLeavesNothing) {
  const std::string id = NewJobId();
  EXPECT_EQ(Run(WithId(QuickJob(3), id)), "exit 0") << Output();
  EXPECT_EQ(traces().Ends(id).size(), 3u);
  EXPECT_NE(Output().find("FINISHED in"), std::string::npos) << Output();
  EXPECT_EQ(LeftDirectories(), 0u);
}

TEST_F(BatonRun, AFailedJobIsOneAndSaysWhatTheTaskSaid) {
  EXPECT_EQ(Run(kSaying), "exit 1") << Output();
  EXPECT_NE(Output().find("last lines of stderr of v, attempt 0:\nerr"), std::string::npos)
      << Output();
}

TEST_F(BatonRun, WithLogsItPrintsWhatTasksWrite) {
  EXPECT_EQ(Run(kSaying, {"--logs"}), "exit 1") << Output();
  EXPECT_NE(Output().find("v | out\n"), std::string::npos) << Output();
  EXPECT_NE(Output().find("v | err\n"), std::string::npos) << Output();
}

TEST_F(BatonRun, TasksShareADirectoryThatNobodyHadToName) {
  EXPECT_EQ(Run(R"({"name":"n","vertices":[)"
                R"({"id":"a","command":["sh","-c","echo told >\"$BATON_SHARED_DIR/a\""]},)"
                R"({"id":"b","command":["sh","-c","cat \"$BATON_SHARED_DIR/a\""]}],)"
                R"("edges":[{"source":"a","target":"b"}]})",
                {"--logs", "-D", "taskmanager.shared-directory="}),
            "exit 0")
      << Output();
  EXPECT_NE(Output().find("b | told\n"), std::string::npos) << Output();
  EXPECT_EQ(LeftDirectories(), 0u);
}

TEST_F(BatonRun, AsJsonItPrintsTheJobAndNothingElse) {
  const std::string id = NewJobId();
  EXPECT_EQ(Run(WithId(QuickJob(), id), {"--json"}), "exit 0");
  const auto job = nlohmann::json::parse(Output(), nullptr, false);
  ASSERT_TRUE(job.is_object()) << Output();
  EXPECT_EQ(job.value("jid", ""), id);
  EXPECT_EQ(job.value("state", ""), "FINISHED");
}

TEST_F(BatonRun, BadInputHasItsOwnCodes) {
  EXPECT_EQ(Run(R"({"name":"x","vertices":[]})"), "exit 5") << Output();
  EXPECT_EQ(Run("no json"), "exit 5") << Output();
  std::filesystem::remove(file_);
  EXPECT_EQ(Run(QuickJob(), {"--no-such-flag"}), "exit 2") << Output();
}

TEST_F(BatonRun, CtrlCCancelsTheJobAndLeavesNoProcess) {
  const std::string id = NewJobId();
  const ProcessId run = Begin(WithId(HeldJob(2), id));
  ASSERT_TRUE(Eventually([&] { return traces().Starts(id).size() == 2; })) << Output();
  ASSERT_TRUE(SendSignal(run, SIGINT).ok());
  EXPECT_EQ(End(run), "exit 6") << Output();
  EXPECT_TRUE(ProcessesOf(id).empty());
  EXPECT_EQ(LeftDirectories(), 0u);
}

TEST_F(BatonRun, KilledItTakesEverythingWithIt) {
  const std::string id = NewJobId();
  const ProcessId run = Begin(WithId(HeldJob(2), id));
  ASSERT_TRUE(Eventually([&] { return traces().Starts(id).size() == 2; })) << Output();
  ASSERT_TRUE(SendSignal(run, SIGKILL).ok());
  EXPECT_EQ(End(run), "SIGKILL");
  EXPECT_TRUE(AllGone(id));
}

TEST_F(BatonRun, InADirectoryThatIsKeptTheSameJobIsNotRunTwice) {
  const std::string job = WithId(QuickJob(), "00000000000000000000000000000042");
  EXPECT_EQ(Run(job, {"--dir", directory()}), "exit 0") << Output();
  EXPECT_EQ(Run(job, {"--dir", directory()}), "exit 0") << Output();
  EXPECT_EQ(traces().Starts("00000000000000000000000000000042").size(), 1u);
}

}  // namespace
}  // namespace baton::integration
