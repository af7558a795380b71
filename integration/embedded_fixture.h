// One baton-dispatcher without ZooKeeper in a directory of its own, whose process dies and starts
// as the test says. Nothing of it is left in the end, however the test went.

#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/run/embedded_process.h"
#include "gtest/gtest.h"
#include "integration/http_exchange.h"
#include "integration/task_traces.h"

namespace baton::integration {

class EmbeddedFixture : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // On free ports unless `overrides` say otherwise.
  absl::Status Start(std::vector<std::string> overrides = {},
                     std::map<std::string, std::string> env = {});
  void KillProcess();  // SIGKILL
  // Dies at its fault point, soon.
  bool AwaitDeath();

  std::string directory() const { return directory_ / "data"; }
  std::string rest() const { return process_->rest_address(); }
  EmbeddedProcess& process() { return *process_; }
  TaskTraces& traces() { return *traces_; }

  absl::StatusOr<HttpReply> Put(const std::string& job, std::string_view body);
  std::string JobState(const std::string& job);  // empty: no answer, or not found
  bool Becomes(const std::string& job, const std::string& state);
  std::string StartHeldJob(uint32_t tasks);
  // Every task that ever started has ended or was killed before the next attempt of it.
  bool AllGone(const std::string& job);

 private:
  std::filesystem::path directory_;
  std::unique_ptr<EmbeddedProcess> process_;
  std::unique_ptr<TaskTraces> traces_;
};

}  // namespace baton::integration
