#include "integration/embedded_fixture.h"

#include <iostream>
#include <utility>

#include "base/status.h"
#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {

void EmbeddedFixture::SetUp() {
  std::string name = (std::filesystem::temp_directory_path() / "baton-embedded.XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr) << name;
  directory_ = name;
  traces_ = std::make_unique<TaskTraces>(directory_);
}

void EmbeddedFixture::TearDown() {
  process_ = nullptr;
  if (HasFailure()) {
    std::cerr << "data and log are kept in " << directory_ << std::endl;
  } else {
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }
}

absl::Status EmbeddedFixture::Start(std::vector<std::string> overrides,
                                    std::map<std::string, std::string> env) {
  overrides.push_back("taskmanager.shared-directory=" + directory_.string());
  overrides.push_back("taskmanager.numberOfTaskSlots=8");
  auto started = EmbeddedProcess::Start({directory(), std::move(overrides), std::move(env)});
  if (!started.ok()) return started.status();
  process_ = *std::move(started);
  return absl::OkStatus();
}

void EmbeddedFixture::KillProcess() {
  process_->Kill();
  process_ = nullptr;
}

bool EmbeddedFixture::AwaitDeath() {
  if (!Eventually([this] { return process_->HasDied(); })) return false;
  const auto how = ReapIfEnded(process_->id());
  EXPECT_EQ(how.value_or("unknown"), "exit 85");
  process_ = nullptr;
  return true;
}

absl::StatusOr<HttpReply> EmbeddedFixture::Put(const std::string& job, std::string_view body) {
  return Exchange(rest(), RequestBytes("PUT", "/v1/jobs/" + job, body));
}

std::string EmbeddedFixture::JobState(const std::string& job) {
  const auto reply = Get(rest(), "/v1/jobs/" + job + "/status");
  if (!reply.ok() || reply->status != 200) return "";
  const auto answer = nlohmann::json::parse(reply->body, nullptr, false);
  return answer.is_object() ? answer.value("status", "") : "";
}

bool EmbeddedFixture::Becomes(const std::string& job, const std::string& state) {
  return Eventually([&] { return JobState(job) == state; });
}

std::string EmbeddedFixture::StartHeldJob(uint32_t tasks) {
  const std::string job = NewJobId();
  const auto reply = Put(job, HeldJob(tasks));
  EXPECT_TRUE(reply.ok() && reply->status == 202);
  EXPECT_TRUE(Eventually([&] { return traces().Starts(job).size() == tasks; }));
  return job;
}

bool EmbeddedFixture::AllGone(const std::string& job) {
  return Eventually([&] { return ProcessesOf(job).empty(); });
}

}  // namespace baton::integration
