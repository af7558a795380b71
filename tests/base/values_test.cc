// Ids, units, digests, statuses, suggestions, random numbers: the small values.

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/digest.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/status.h"
#include "base/suggest.h"
#include "base/units.h"

namespace baton {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(DigestTest, IsSha256) {
  // FIPS 180-2, appendix B.1, and the empty text.
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(JobIdTest, ReadsBackInEitherCase) {
  const std::string hex = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(JobId::Parse(hex)->ToString(), hex);
  EXPECT_EQ(*JobId::Parse("0123456789ABCDEF0123456789ABCDEF"), *JobId::Parse(hex));
  EXPECT_EQ(JobId::Parse("ff000000000000000000000000000000")->Bucket(), "f");
}

TEST(JobIdTest, RefusesWhatIsNoId) {
  for (const char* text :
       {"", "0", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
        "0123456789abcdef0123456789abcdeg", "../../../../../../../etc/passwd."}) {
    EXPECT_EQ(JobId::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(JobIdTest, OfAnIdempotencyKeyIsTheHeadOfItsDigest) {
  EXPECT_EQ(JobId::FromKey("abc").ToString(), "ba7816bf8f01cfea414140de5dae2223");
  EXPECT_NE(JobId::FromKey("abc"), JobId::FromKey("abd"));
}

TEST(ExecutionAttemptIdTest, NamesEpochAndAttempt) {
  const ExecutionAttemptId id = {.job = *JobId::Parse("0123456789abcdef0123456789abcdef"),
                                 .vertex = 1,
                                 .subtask = 2,
                                 .attempt = 3,
                                 .epoch = Epoch{4}};
  EXPECT_EQ(id.ToString(), "0123456789abcdef0123456789abcdef/1/2/3-e4");
  ExecutionAttemptId later = id;
  later.epoch = id.epoch.Next();
  EXPECT_LT(id, later);
}

TEST(UnitsTest, Durations) {
  EXPECT_EQ(*ParseDuration("10 min"), minutes(10));
  EXPECT_EQ(*ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(*ParseDuration(" 1 S "), seconds(1));
  EXPECT_EQ(*ParseDuration("2 hours"), hours(2));
  EXPECT_EQ(*ParseDuration("7 d"), hours(168));
  EXPECT_EQ(*ParseDuration("0 s"), Duration::zero());
  EXPECT_EQ(*ParseDuration("5 \u00b5s"), Duration(5000));
  EXPECT_EQ(*ParseDuration("3 ns"), Duration(3));
}

TEST(UnitsTest, WhatIsNoDuration) {
  for (const char* text : {"", "10", "s", "-1 s", "1.5 s", "1 fortnight", "1 s 2", "100001 d",
                           "9223372036854775807 d", "99999999999999999999 s", "+1 s", "0x1 s"}) {
    EXPECT_EQ(ParseDuration(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(UnitsTest, Sizes) {
  EXPECT_EQ(ParseBytes("256 MiB")->value, 256u << 20);
  EXPECT_EQ(ParseBytes("64 kb")->value, 64u << 10);
  EXPECT_EQ(ParseBytes("64KIB")->value, 64u << 10);
  EXPECT_EQ(ParseBytes("1g")->value, 1u << 30);
  EXPECT_EQ(ParseBytes("1000")->value, 1000u);
  EXPECT_EQ(ParseBytes("7 bytes")->value, 7u);
  for (const char* text : {"", "mb", "-1", "1.5 GiB", "1 pb", "9223372036854775807 kb"}) {
    EXPECT_EQ(ParseBytes(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(UnitsTest, WhatIsWrittenReadsBack) {
  EXPECT_EQ(FormatDuration(minutes(10)), "10 min");
  EXPECT_EQ(FormatDuration(milliseconds(1500)), "1500 ms");
  EXPECT_EQ(FormatDuration(Duration::zero()), "0 s");
  EXPECT_EQ(FormatBytes({256u << 20}), "256 MiB");
  for (int64_t count : {1, 999, 1000, 60'000, 1'000'000, 3'600'000}) {
    for (const Duration unit : {Duration(1), Duration(milliseconds(1)), Duration(seconds(1))}) {
      EXPECT_EQ(*ParseDuration(FormatDuration(count * unit)), count * unit);
    }
    EXPECT_EQ(ParseBytes(FormatBytes({static_cast<uint64_t>(count)}))->value,
              static_cast<uint64_t>(count));
  }
}

TEST(StatusTest, SaysWhatAndWhere) {
  const absl::Status status = At("jobs[3]", NotFound("no job {}", 7));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "jobs[3]: no job 7");
  EXPECT_EQ(Describe(status), "NOT_FOUND: jobs[3]: no job 7");
  EXPECT_TRUE(At("x", absl::OkStatus()).ok());
}

TEST(SuggestTest, OnlyWhatIsClose) {
  const std::string_view known[] = {"parallelism", "command", "env"};
  EXPECT_EQ(DidYouMean("comand", known), "; did you mean \"command\"?");
  EXPECT_EQ(DidYouMean("Parallelism", known), "; did you mean \"parallelism\"?");
  EXPECT_EQ(DidYouMean("whatever", known), "");
  EXPECT_EQ(DidYouMean("", known), "");
  EXPECT_EQ(DidYouMean(std::string(100'000, 'c'), known), "");
}

TEST(SuggestTest, QuotedTextIsShortAndPrintable) {
  EXPECT_EQ(Quoted("a\"b\n\x1b"), "\"a\\\"b\\x0a\\x1b\"");
  EXPECT_EQ(Quoted(std::string(65, 'x')), "\"" + std::string(64, 'x') + "…\"");
  // Never cut inside a character: 63 bytes, then one of two bytes.
  EXPECT_EQ(Quoted(std::string(63, 'x') + "éé"), "\"" + std::string(63, 'x') + "…\"");
}

TEST(RandomTest, ASeedRepeatsAndTheSystemDoesNot) {
  auto one = NewSeededRandom(5), same = NewSeededRandom(5), other = NewSeededRandom(6);
  EXPECT_EQ(one->NewJobId(), same->NewJobId());
  EXPECT_NE(one->NewJobId(), other->NewJobId());
  EXPECT_EQ(NewSystemRandom()->NewIncarnation().value().size(), 16u);
  std::set<std::string> ids;
  auto system = NewSystemRandom();
  for (int i = 0; i < 1000; ++i) ids.insert(system->NewJobId().ToString());
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(RandomTest, BelowStaysBelow) {
  auto random = NewSeededRandom(1);
  for (int i = 0; i < 1000; ++i) {
    const Duration drawn = random->Below(milliseconds(10));
    EXPECT_GE(drawn, Duration::zero());
    EXPECT_LT(drawn, milliseconds(10));
  }
  EXPECT_EQ(random->Below(Duration::zero()), Duration::zero());
}

}  // namespace
}  // namespace baton
