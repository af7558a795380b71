#include "cli/run/run_output.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(RunOutputTest, CountsAreInTheOrderOfALifeWithoutZeros) {
  EXPECT_EQ(CountsText({{"FINISHED", 1}, {"CREATED", 2}, {"RUNNING", 3}, {"FAILED", 0}}),
            "created 2, running 3, finished 1");
  EXPECT_EQ(CountsText({}), "");
}

TEST(RunOutputTest, SpansAreReadable) {
  EXPECT_EQ(SpanText(0), "0.0 s");
  EXPECT_EQ(SpanText(1'449), "1.4 s");
  EXPECT_EQ(SpanText(125'000), "2 min 5 s");
}

TEST(RunOutputTest, AVertexIsShownWhenItsCountsChange) {
  JobView view;
  view.vertices = {{.id = "a", .tasks = {{"CREATED", 2}}}, {.id = "b", .tasks = {{"CREATED", 1}}}};
  ProgressLines progress;
  EXPECT_NE(progress.Next(view).find("created 2"), std::string::npos);
  EXPECT_EQ(progress.Next(view), "");
  view.vertices[1].tasks = {{"RUNNING", 1}};
  const std::string lines = progress.Next(view);
  EXPECT_EQ(lines.find("created"), std::string::npos);
  EXPECT_NE(lines.find("running 1"), std::string::npos);
}

}  // namespace
}  // namespace baton
