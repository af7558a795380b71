#include "rpc/attempt_id.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(AttemptIdTest, ComesBackAsItWas) {
  const ExecutionAttemptId id{JobId::FromKey("a job"), 3, 1'000'000, 7, Epoch{42}};
  const auto back = FromProto(ToProto(id));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, id);
}

TEST(AttemptIdTest, AJobOfAnotherLengthIsRefused) {
  for (const size_t length : {0, 1, 15, 17, 32}) {
    pb::AttemptId proto;
    proto.set_job(std::string(length, 'x'));
    EXPECT_EQ(FromProto(proto).status().code(), absl::StatusCode::kInvalidArgument) << length;
  }
}

TEST(AttemptIdTest, ANumberAfterWhichThereIsNoneIsRefused) {
  pb::AttemptId proto = ToProto({JobId::FromKey("a job"), 0, 0, kMaxAttempt, Epoch{1}});
  EXPECT_TRUE(FromProto(proto).ok());
  proto.set_attempt(kMaxAttempt + 1);
  EXPECT_EQ(FromProto(proto).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace baton
