// What users submit: any text is either refused with reasons that can be shown, or is a job whose
// stored form and canonical JSON mean the same job again.

#include <nlohmann/json.hpp>

#include "job/job_graph.h"
#include "job/json_document.h"
#include "tests/fuzz/fuzz.h"

namespace baton::fuzz {
namespace {

constexpr size_t kMaxProblemBytes = 4 << 10;

void CheckRefusal(const std::string& text, const JobProblems& refused, const JobLimits& limits) {
  FUZZ_CHECK(!refused.problems.empty(), "refused without a reason: " + text);
  FUZZ_CHECK(refused.problems.size() <= limits.max_problems + 1, "too many reasons: " + text);
  for (const std::string& problem : refused.problems) {
    FUZZ_CHECK(!problem.empty() && problem.size() <= kMaxProblemBytes, problem);
    nlohmann::json(problem).dump();  // throws where it is not UTF-8, as the answer's JSON would
  }
}

void CheckStoredForm(const JobGraph& graph) {
  const std::string stored = ToStored(graph);
  const auto again = FromStored(stored);
  FUZZ_CHECK(again.ok(), again.status().ToString());
  FUZZ_CHECK(ToStored(**again) == stored, "the stored form is another one the second time");
  FUZZ_CHECK((*again)->TotalSubtasks() == graph.TotalSubtasks(), "other subtasks");
}

void CheckCanonicalForm(const std::string& text, const ParsedSubmission& parsed,
                        const JobLimits& limits) {
  ProblemList problems(limits.max_problems);
  const auto document = ReadJson(text, JsonBounds(), &problems);
  FUZZ_CHECK(document && problems.empty(), "accepted, but no JSON: " + text);
  const std::string canonical = CanonicalJson(*document, "jobid");
  JobProblems refused;
  const auto again = ParseJobGraphJson(canonical, limits, &refused);
  FUZZ_CHECK(again.has_value(), "its canonical form is refused: " + canonical);
  FUZZ_CHECK(!again->job_id, "the canonical form has an id: " + canonical);
  FUZZ_CHECK(again->digest == parsed.digest, "the canonical form has another digest: " + canonical);
  FUZZ_CHECK(ToStored(*again->graph) == ToStored(*parsed.graph), "another job: " + canonical);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const JobLimits limits{.max_vertices = 50, .max_edges = 100, .max_problems = 20};
  JobProblems refused;
  const auto parsed = ParseJobGraphJson(text, limits, &refused);
  if (!parsed) {
    fuzz::CheckRefusal(text, refused, limits);
    return 0;
  }
  FUZZ_CHECK(refused.problems.empty(), refused.problems.front());
  fuzz::CheckStoredForm(*parsed->graph);
  fuzz::CheckCanonicalForm(text, *parsed, limits);
  return 0;
}

}  // namespace baton::fuzz
