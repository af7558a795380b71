// What the documents show as a job is one.

#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "job/job_graph.h"

namespace baton {
namespace {

// What stands between the first `from` and the next `to` after it.
std::string Shown(const std::string& document, const std::string& from, const std::string& to) {
  std::ifstream file(std::string(BATON_SOURCE_DIR) + "/" + document);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t begin = text.find(from);
  const size_t end = text.find(to, begin + from.size());
  EXPECT_NE(begin, text.npos) << document;
  EXPECT_NE(end, text.npos) << document;
  return text.substr(begin + from.size(), end - begin - from.size());
}

void ExpectIsAJob(const std::string& json) {
  JobProblems problems;
  const auto job = ParseJobGraphJson(json, JobLimits(), &problems);
  EXPECT_TRUE(job.has_value()) << problems.problems.at(0);
}

TEST(DocumentedJob, IsAccepted) {
  ExpectIsAJob(Shown("docs/jobs.md", "```json\n", "```"));
  ExpectIsAJob(Shown("README.md", "<<'END'\n", "END\n"));
}

}  // namespace
}  // namespace baton
