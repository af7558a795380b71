#include "store/journal_merge.h"

#include <gtest/gtest.h>

#include "rpc/records.pb.h"
#include "store/records.pb.h"

namespace baton {
namespace {

constexpr WallMillis kNow = 1'700'000'000'000;

KvEntry Pointer(const std::string& job, uint64_t epoch, uint64_t sequence) {
  pb::JobPointer pointer;
  pointer.set_epoch(epoch);
  pointer.set_sequence(sequence);
  return {"jobs/a/" + job, pointer.SerializeAsString()};
}
KvEntry Result(const std::string& job, uint64_t epoch) {
  pb::JobResult result;
  result.set_epoch(epoch);
  return {"results/a/" + job, result.SerializeAsString()};
}
KvEntry Members(uint64_t version) {
  pb::MemberList members;
  members.set_version(version);
  return {"members", members.SerializeAsString()};
}

TEST(JournalMergeTest, TheLaterPointerWins) {
  const auto merged =
      MergeJournals({{"a", Epoch{2}, kNow, {Pointer("j", 1, 9)}},
                     {"b", Epoch{3}, kNow, {Pointer("j", 2, 3)}},
                     {"c", Epoch{1}, kNow, {Pointer("j", 2, 2), Pointer("k", 1, 1)}}});
  EXPECT_EQ(merged.highest_epoch, Epoch{3});
  EXPECT_EQ(merged.records.at("jobs/a/j"), Pointer("j", 2, 3).value);
  EXPECT_TRUE(merged.records.contains("jobs/a/k"));
}

TEST(JournalMergeTest, AResultBeatsAnyPointer) {
  const auto merged = MergeJournals(
      {{"a", Epoch{2}, kNow, {Pointer("j", 9, 9)}}, {"b", Epoch{2}, kNow, {Result("j", 1)}}});
  EXPECT_FALSE(merged.records.contains("jobs/a/j"));
  EXPECT_TRUE(merged.records.contains("results/a/j"));
}

TEST(JournalMergeTest, AJournalThatWasLeftBehindGivesItsEpochAlone) {
  const auto merged =
      MergeJournals({{"a", Epoch{2}, kNow, {Pointer("j", 1, 1), Members(1)}},
                     {"b", Epoch{7}, kNow - 3'600'000, {Pointer("ended", 1, 1), Members(9)}}});
  EXPECT_EQ(merged.highest_epoch, Epoch{7});
  EXPECT_EQ(merged.ignored, std::vector<std::string>{"b"});
  EXPECT_FALSE(merged.records.contains("jobs/a/ended"));
  EXPECT_EQ(merged.records.at("members"), Members(1).value);
}

TEST(JournalMergeTest, TheMemberListWithTheHigherVersionWins) {
  const auto merged =
      MergeJournals({{"a", Epoch{1}, kNow, {Members(3)}}, {"b", Epoch{1}, kNow, {Members(2)}}});
  EXPECT_EQ(merged.records.at("members"), Members(3).value);
}

TEST(JournalMergeTest, EverybodyOnAnyRosterIsKept) {
  const auto merged = MergeJournals(
      {{"a", Epoch{1}, kNow, {{"roster/x", "1"}}}, {"b", Epoch{1}, kNow, {{"roster/y", "2"}}}});
  EXPECT_EQ(merged.records.size(), 2u);
}

}  // namespace
}  // namespace baton
