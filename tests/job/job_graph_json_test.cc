#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/utf8.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "job/job_graph.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

// The whole of what a submission may say, every honoured field once.
constexpr char kFullJob[] = R"({
  "name": "word-count", "jobid": "0123456789ABCDEF0123456789abcdef", "priority": -5,
  "schedulingStrategy": "lazy",
  "vertices": [
    {"id": "split", "command": ["bin/split"]},
    {"id": "count", "name": "Count words", "parallelism": 8, "command": ["bin/count", "{subtask}"],
     "env": {"LANG": "C", "A": ""}, "artifacts": [], "resources": {}, "labels": {},
     "slotSharingGroup": "default", "timeout": "10 min", "priority": 7}],
  "edges": [{"source": "split", "target": "count", "exchange": "none", "pattern": "pointwise"}],
  "restartStrategy": {"type": "fixed-delay", "attempts": 3, "delay": "1500 ms"}})";

std::vector<std::string> ProblemsOf(const std::string& json, const JobLimits& limits = {}) {
  JobProblems problems;
  const auto parsed = ParseJobGraphJson(json, limits, &problems);
  EXPECT_EQ(parsed.has_value(), problems.problems.empty());
  return problems.problems;
}

// A job with two vertices, "a" and "b", whose parts a test replaces.
std::string JobWith(const std::string& vertex_fields, const std::string& job_fields = "") {
  return fmt::format(
      R"({{"name": "n", "vertices": [{{"id": "a", "command": ["true"]{}}},
          {{"id": "b", "command": ["true"]}}]{}}})",
      vertex_fields, job_fields);
}

#define EXPECT_ONE_PROBLEM(json, text)                                        \
  do {                                                                        \
    const auto found = ProblemsOf(json);                                      \
    ASSERT_EQ(found.size(), 1u) << fmt::format("{}", fmt::join(found, "\n")); \
    EXPECT_EQ(found[0], text);                                                \
  } while (false)

TEST(JobGraphJsonTest, ReadsEveryField) {
  JobProblems problems;
  const auto parsed = ParseJobGraphJson(kFullJob, JobLimits(), &problems);
  ASSERT_TRUE(parsed) << problems.problems.front();
  const JobGraph& graph = *parsed->graph;
  EXPECT_EQ(graph.name, "word-count");
  EXPECT_EQ(graph.priority, -5);
  EXPECT_EQ(parsed->job_id->ToString(), "0123456789abcdef0123456789abcdef");
  ASSERT_EQ(graph.vertices.size(), 2u);
  EXPECT_EQ(graph.vertices[0].name, "split");
  EXPECT_EQ(graph.vertices[0].parallelism, 1u);
  EXPECT_EQ(graph.vertices[0].timeout, Duration::zero());
  const JobVertex& count = graph.vertices[1];
  EXPECT_EQ(count.name, "Count words");
  EXPECT_EQ(count.parallelism, 8u);
  EXPECT_EQ(count.command, (std::vector<std::string>{"bin/count", "{subtask}"}));
  EXPECT_EQ(count.env,
            (std::vector<std::pair<std::string, std::string>>{{"A", ""}, {"LANG", "C"}}));
  EXPECT_EQ(count.timeout, std::chrono::minutes(10));
  EXPECT_EQ(count.priority, 7);
  ASSERT_EQ(graph.edges.size(), 1u);
  EXPECT_EQ(graph.edges[0].source, 0u);
  EXPECT_EQ(graph.edges[0].target, 1u);
  EXPECT_EQ(graph.edges[0].pattern, DistributionPattern::kPointwise);
  ASSERT_TRUE(graph.restart_strategy);
  EXPECT_EQ(graph.restart_strategy->attempts, 3u);
  EXPECT_EQ(graph.restart_strategy->delay, milliseconds(1500));
  EXPECT_EQ(graph.TotalSubtasks(), 9u);
  EXPECT_EQ(graph.FindVertex("count"), 1u);
  EXPECT_FALSE(graph.FindVertex("none"));
}

TEST(JobGraphJsonTest, DefaultsOfTheSmallestJob) {
  JobProblems problems;
  const auto parsed = ParseJobGraphJson(
      R"({"name": "n", "vertices": [{"id": "v", "command": ["true"]}]})", JobLimits(), &problems);
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->job_id);
  EXPECT_FALSE(parsed->graph->restart_strategy);
  EXPECT_TRUE(parsed->graph->edges.empty());
}

TEST(JobGraphJsonTest, EveryProblemIsReportedWithItsPlace) {
  const auto problems = ProblemsOf(R"({
    "name": "", "priority": 1001, "naem": 1, "jobid": "12",
    "vertices": [{"id": "a b", "command": []},
                 {"id": "b", "parallelism": 100001, "comand": ["x"], "timeout": "10"},
                 "nothing"],
    "edges": [{"source": "x", "target": "b"}, {"source": "b"}]})");
  const std::vector<std::string> expected = {
      "name: must be 1..512 bytes long",
      "priority: must be -1000..1000",
      "naem: unknown field; did you mean \"name\"?",
      "jobid: must be 32 hex digits, not all zero",
      "vertices[0].id: must be 1..128 characters of A-Z a-z 0-9 _ . : - +",
      "vertices[0].command: must not be empty: the program and its arguments",
      "vertices[1].parallelism: must be 1..100000",
      "vertices[1].comand: unknown field; did you mean \"command\"?",
      "vertices[1].command: is required",
      "vertices[1].timeout: needs a unit, as \"10 min\" or \"250 ms\"",
      "vertices[2]: must be an object",
      "edges[0].source: no vertex has the id \"x\"",
      "edges[1].target: is required"};
  for (const auto& problem : expected) {
    EXPECT_TRUE(std::count(problems.begin(), problems.end(), problem)) << problem;
  }
  EXPECT_EQ(problems.size(), expected.size()) << fmt::format("{}", fmt::join(problems, "\n"));
}

TEST(JobGraphJsonTest, MalformedTextIsPlaced) {
  EXPECT_ONE_PROBLEM("{\"name\": \"n\",\n  \"vertices\": [}",
                     "line 2, column 16: syntax error while parsing value - unexpected '}'; "
                     "expected '[', '{', or a literal");
  EXPECT_EQ(ProblemsOf("").size(), 1u);
  EXPECT_EQ(ProblemsOf("{\"name\": \"n\"} x").size(), 1u);
  EXPECT_EQ(ProblemsOf("[1, 1e999]").size(), 1u);
  EXPECT_EQ(ProblemsOf("{\"name\": \"\xff\"}").size(), 1u);
  EXPECT_EQ(ProblemsOf(std::string("{\"name\": \"a\0b\"}", 15)).size(), 1u);
  EXPECT_ONE_PROBLEM("[]", "job: must be an object");
}

TEST(JobGraphJsonTest, AnUnterminatedStringIsNotRepeatedWhole) {
  const auto problems = ProblemsOf("{\"name\": \"" + std::string(1 << 20, 'x'));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_LT(problems[0].size(), 400u);
}

TEST(JobGraphJsonTest, DuplicateKeysAreNamed) {
  EXPECT_ONE_PROBLEM(JobWith(R"(, "priority": 1, "priority": 2)"),
                     "vertices[0].priority: the key \"priority\" occurs more than once");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "name": "m")"),
                     "name: the key \"name\" occurs more than once");
}

TEST(JobGraphJsonTest, ADepthBombDoesNotOverflowTheStack) {
  const auto problems = ProblemsOf(std::string(4'000'000, '['));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(problems[0].ends_with("is nested deeper than 32 levels")) << problems[0];
}

TEST(JobGraphJsonTest, WrongTypes) {
  EXPECT_ONE_PROBLEM(JobWith(R"(, "parallelism": "2")"),
                     "vertices[0].parallelism: must be an integer, 1..100000");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "parallelism": 1.5)"),
                     "vertices[0].parallelism: must be an integer, 1..100000");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "parallelism": 18446744073709551616)"),
                     "vertices[0].parallelism: must be an integer, 1..100000");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "parallelism": -1)"),
                     "vertices[0].parallelism: must be 1..100000");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "parallelism": null)"),
                     "vertices[0].parallelism: must be an integer, 1..100000");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "env": {"A": 1})"), "vertices[0].env.A: must be a string");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "env": [])"), "vertices[0].env: must be an object");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "edges": {})"), "edges: must be an array");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "timeout": 5)"),
                     "vertices[0].timeout: must be a string with a unit, as \"10 min\" or "
                     "\"250 ms\"");
}

TEST(JobGraphJsonTest, CharactersThatHarmAreRefused) {
  EXPECT_ONE_PROBLEM(JobWith(R"(, "name": "a\u0000b")"),
                     "vertices[0].name: must not contain control characters");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "name": "a\u001b[31m")"),
                     "vertices[0].name: must not contain control characters");
  EXPECT_ONE_PROBLEM(R"({"name": "n", "vertices": [{"id": "a", "command": ["x", "a\u0000b"]}]})",
                     "vertices[0].command[1]: must not contain a NUL byte");
  EXPECT_ONE_PROBLEM(R"({"name": "n", "vertices": [{"id": "a", "command": [""]}]})",
                     "vertices[0].command[0]: must name a program");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "env": {"A": "\u0000"})"),
                     "vertices[0].env.A: must not contain a NUL byte");
  EXPECT_EQ(ProblemsOf(JobWith(R"(, "env": {"A=B": "x"})")).size(), 1u);
  EXPECT_EQ(ProblemsOf(JobWith(R"(, "env": {"": "x"})")).size(), 1u);
  EXPECT_EQ(ProblemsOf(JobWith(R"(, "env": {"A\u0000": "x"})")).size(), 1u);
  EXPECT_EQ(ProblemsOf(JobWith(R"(, "env": {"BATON_JOB_ID": "x"})")).size(), 1u);
  EXPECT_EQ(ProblemsOf(R"({"name": "n", "vertices": [{"id": "../a", "command": ["x"]}]})").size(),
            1u);
}

TEST(JobGraphJsonTest, AShellScriptWithNewlinesIsACommand) {
  EXPECT_TRUE(ProblemsOf(R"({"name": "n", "vertices": [
      {"id": "a", "command": ["sh", "-c", "echo a\n\techo b\n"], "env": {"X": "a\nb"}}]})")
                  .empty());
}

TEST(JobGraphJsonTest, WhatLinuxWouldNotStartIsRefused) {
  const std::string long_argument(200'000, 'x');
  EXPECT_EQ(
      ProblemsOf(
          fmt::format(R"({{"name": "n", "vertices": [{{"id": "a", "command": ["x", "{}"]}}]}})",
                      long_argument))
          .size(),
      1u);
}

TEST(JobGraphJsonTest, NotSupportedYetIsSaidOfReservedFields) {
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "schedulingStrategy": "eager")"),
                     "schedulingStrategy: \"eager\" is not supported yet; use \"lazy\"");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "artifacts": [{"digest": "sha256:0"}])"),
                     "vertices[0].artifacts: not supported yet");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "resources": {"cpu": 1.0})"),
                     "vertices[0].resources: not supported yet");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "labels": {"disk": "ssd"})"),
                     "vertices[0].labels: not supported yet");
  EXPECT_ONE_PROBLEM(JobWith(R"(, "slotSharingGroup": "g")"),
                     "vertices[0].slotSharingGroup: \"g\" is not supported yet; use \"default\"");
  EXPECT_ONE_PROBLEM(
      JobWith("", R"(, "edges": [{"source": "a", "target": "b", "exchange": "pipelined"}])"),
      "edges[0].exchange: \"pipelined\" is not supported yet; use \"none\"");
  EXPECT_ONE_PROBLEM(
      JobWith("", R"(, "edges": [{"source": "a", "target": "b", "exchange": "some"}])"),
      "edges[0].exchange: must be \"none\"");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "restartStrategy": {"type": "failure-rate"})"),
                     "restartStrategy.type: \"failure-rate\" is not supported yet");
}

TEST(JobGraphJsonTest, RestartStrategy) {
  EXPECT_TRUE(ProblemsOf(JobWith("", R"(, "restartStrategy": {"type": "none"})")).empty());
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "restartStrategy": {"attempts": 3})"),
                     "restartStrategy.type: is required");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "restartStrategy": {"type": "none", "attempts": 3})"),
                     "restartStrategy.attempts: unknown field");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "restartStrategy": "none")"),
                     "restartStrategy: must be an object");
  EXPECT_ONE_PROBLEM(
      JobWith("", R"(, "restartStrategy": {"type": "fixed-delay", "delay": "1 us"})"),
      "restartStrategy.delay: must be a whole number of milliseconds");
}

TEST(JobGraphJsonTest, EdgesThatCannotBe) {
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "edges": [{"source": "a", "target": "a"}])"),
                     "edges[0]: leads from \"a\" to itself");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "edges": [{"source": "a", "target": "b"},
                                                 {"source": "a", "target": "b"}])"),
                     "edges[1]: joins the same vertices as edges[0]");
  EXPECT_ONE_PROBLEM(JobWith("", R"(, "edges": [{"source": "a", "target": "b"},
                                                 {"source": "b", "target": "a"}])"),
                     "edges: cycle a -> b -> a");
  EXPECT_ONE_PROBLEM(
      JobWith("", R"(, "edges": [{"source": "a", "target": "b", "pattern": "hash"}])"),
      "edges[0].pattern: must be \"all-to-all\" or \"pointwise\"");
}

TEST(JobGraphJsonTest, DuplicateIdsAreNamed) {
  EXPECT_ONE_PROBLEM(R"({"name": "n", "vertices": [{"id": "a", "command": ["x"]},
                                                    {"id": "a", "command": ["x"]}]})",
                     "vertices[1].id: \"a\" is the id of vertices[0] already");
}

// What a client sent may stand in the reason; the reason travels as JSON all the same.
TEST(JobGraphJsonTest, TheReasonOfARefusalIsShortAndUtf8) {
  const std::string long_key(63, 'k');
  for (const std::string& json : {std::string("{\"a\": 1, \"; expected \xd5\": 2}"),
                                  "{\"" + std::string(500, '\xff') + "\":1}",
                                  "{\"" + long_key + "é\": 1, \"" + long_key + "é\": 2}",
                                  "{\"" + long_key + "é\": " + std::string(100, '[')}) {
    const auto problems = ProblemsOf(json);
    ASSERT_FALSE(problems.empty()) << json;
    for (const std::string& problem : problems) {
      EXPECT_EQ(CleanUtf8(problem, 500), problem) << json;
    }
  }
}

TEST(JobGraphJsonTest, LimitsAreNamed) {
  const JobLimits one_vertex = {.max_vertices = 1};
  EXPECT_EQ(ProblemsOf(JobWith(""), one_vertex).front(), "vertices: has 2 vertices; at most 1");
  const JobLimits no_edges = {.max_edges = 0};
  EXPECT_EQ(ProblemsOf(JobWith("", R"(, "edges": [{"source": "a", "target": "b"}])"), no_edges),
            std::vector<std::string>{"edges: has 1 edges; at most 0"});
  const JobLimits few_subtasks = {.max_subtasks = 10};
  EXPECT_EQ(ProblemsOf(JobWith(R"(, "parallelism": 10)"), few_subtasks),
            std::vector<std::string>{"vertices: have 11 subtasks together; at most 10"});
}

TEST(JobGraphJsonTest, TheListOfProblemsIsBounded) {
  std::string vertices;
  for (int i = 0; i < 1000; ++i) vertices += R"({"id": "!"},)";
  vertices.pop_back();
  const auto problems = ProblemsOf(R"({"name": "n", "vertices": [)" + vertices + "]}");
  ASSERT_EQ(problems.size(), 101u);
  EXPECT_EQ(problems.back(), "only the first 100 problems are listed");
}

TEST(JobGraphJsonTest, ALongChainAndItsCycle) {
  std::string vertices, edges;
  for (int i = 0; i < 10'000; ++i) {
    vertices += fmt::format(R"({{"id": "v{}", "command": ["x"]}},)", i);
    if (i > 0) edges += fmt::format(R"({{"source": "v{}", "target": "v{}"}},)", i - 1, i);
  }
  vertices.pop_back();
  const std::string head = R"({"name": "n", "vertices": [)" + vertices + R"(], "edges": [)";
  EXPECT_TRUE(ProblemsOf(head + edges.substr(0, edges.size() - 1) + "]}").empty());
  const auto problems = ProblemsOf(head + edges + R"({"source": "v9999", "target": "v0"}]})");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(problems[0].starts_with("edges: cycle v0 -> v1 -> ")) << problems[0];
  EXPECT_TRUE(problems[0].ends_with("-> ... -> v0")) << problems[0];
}

std::string DigestOf(const std::string& json) {
  JobProblems problems;
  const auto parsed = ParseJobGraphJson(json, JobLimits(), &problems);
  return parsed ? parsed->digest : problems.problems.front();
}

TEST(JobGraphJsonTest, TheDigestKnowsNeitherOrderNorSpacesNorJobId) {
  const std::string one =
      R"({"name": "n\u00e9", "vertices": [{"id": "v", "command": ["x", "y"]}]})";
  const std::string same = R"({ "jobid": "0123456789abcdef0123456789abcdef",
      "vertices" : [ {"command":["x","y"], "id":"v"} ], "name":"né" })";
  EXPECT_EQ(DigestOf(one).size(), 64u);
  EXPECT_EQ(DigestOf(one), DigestOf(same));
  const std::string swapped = R"({"name": "né", "vertices": [{"id": "v", "command": ["y", "x"]}]})";
  EXPECT_NE(DigestOf(one), DigestOf(swapped));
}

TEST(JobGraphJsonTest, TheDigestOfAJobIsTheSameInEveryRelease) {
  // Stored pointers are compared with it after an upgrade: it must never change.
  EXPECT_EQ(DigestOf(kFullJob), "8bc2a0e3acc0714e47f2afcc2d84f3cb4de4d64a387704baac105bd2a1dc4a9b");
}

}  // namespace
}  // namespace baton
