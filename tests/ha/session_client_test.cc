// The backstop that no well-behaved service needs: a connection that lives and never answers.

#include "ha/session_client.h"

#include <chrono>
#include <memory>
#include <optional>

#include "base/manual_executor.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

using std::chrono::seconds;

constexpr Duration kTimeout = seconds(6);

class UnansweredClient final : public SessionClient {
 public:
  explicit UnansweredClient(ExecutorPtr executor) : SessionClient(std::move(executor), kTimeout) {}

 private:
  void BeginSession() override { Connected(1); }
  absl::Status Transmit(Call) override { return absl::OkStatus(); }
  void EndSession() override {}
};

TEST(SessionClient, ACallThatNobodyAnswersEndsWithinTheSessionTimeout) {
  ManualScheduler scheduler(1);
  auto client = std::make_shared<UnansweredClient>(scheduler.NewExecutor("client"));
  client->Start([](SessionEvent) {});
  scheduler.AdvanceBy(seconds(1) / 3);
  const TimePoint begin = scheduler.Now();
  std::optional<absl::Status> answer;
  client->Create("/n", "", NodeKind::kPersistent, [&](absl::Status status) { answer = status; });
  ASSERT_TRUE(scheduler.RunUntil([&] { return answer.has_value(); }, kTimeout));
  EXPECT_TRUE(absl::IsUnknown(*answer)) << *answer;
  EXPECT_GT(scheduler.Now() - begin, kTimeout / 2);
}

TEST(SessionClient, CloseAnswersWhatIsPending) {
  ManualScheduler scheduler(1);
  auto client = std::make_shared<UnansweredClient>(scheduler.NewExecutor("client"));
  client->Start([](SessionEvent) {});
  scheduler.RunUntilIdle();
  std::optional<absl::Status> answer;
  client->Sync("/", [&](absl::Status status) { answer = status; });
  client->Close();
  scheduler.RunUntilIdle();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(absl::IsAborted(*answer));
}

}  // namespace
}  // namespace baton
