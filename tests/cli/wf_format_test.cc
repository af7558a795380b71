#include "cli/import/wf_format.h"

#include <set>
#include <string>

#include "base/status.h"
#include "cli/cluster/cluster_state.h"
#include "gtest/gtest.h"
#include "job/job_graph.h"

namespace baton {
namespace {

struct Recorded {
  const char* file;
  size_t tasks;
  size_t edges;
};

std::string WorkflowsDirectory() { return std::string(BATON_SOURCE_DIR) + "/examples/workflows/"; }

class ShippedWorkflow : public testing::TestWithParam<Recorded> {
 protected:
  Workflow Load() const {
    auto text = ReadFile(WorkflowsDirectory() + GetParam().file);
    EXPECT_TRUE(text.ok()) << text.status();
    auto workflow = ParseWorkflow(*text);
    EXPECT_TRUE(workflow.ok()) << workflow.status();
    return *workflow;
  }
};

TEST_P(ShippedWorkflow, KeepsEveryTaskAndEdge) {
  const Workflow workflow = Load();
  EXPECT_EQ(workflow.tasks.size(), GetParam().tasks);
  EXPECT_EQ(workflow.edges.size(), GetParam().edges);
  EXPECT_GT(workflow.TotalRuntime(), 0);
}

TEST_P(ShippedWorkflow, BecomesAJobThatValidationAccepts) {
  const Workflow workflow = Load();
  JobProblems problems;
  const auto job = ParseJobGraphJson(ToJobJson(workflow, 0.01), JobLimits(), &problems);
  ASSERT_TRUE(job.has_value()) << problems.problems.at(0);
  ASSERT_EQ(job->graph->vertices.size(), GetParam().tasks);
  ASSERT_EQ(job->graph->edges.size(), GetParam().edges);
  for (size_t i = 0; i < workflow.edges.size(); ++i) {
    EXPECT_EQ(job->graph->edges[i].source, workflow.edges[i].first);
    EXPECT_EQ(job->graph->edges[i].target, workflow.edges[i].second);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedWorkflow,
                         testing::Values(Recorded{"1000genome-chameleon-2ch-100k-001.json", 52, 76},
                                         Recorded{"bacass-dirt02-001.json", 11, 14},
                                         Recorded{"epigenomics-chameleon-hep-1seq-100k-001.json",
                                                  41, 48},
                                         Recorded{"helloworld-forkjoin-10-chameleon.json", 10, 16},
                                         Recorded{"montage-chameleon-2mass-005d-001.json", 58, 114},
                                         Recorded{"seismology-chameleon-100p-001.json", 101, 100},
                                         Recorded{"srasearch-chameleon-10a-001.json", 22, 30}));

std::string File(const std::string& specification, const std::string& execution) {
  return R"({"name":"w","schemaVersion":"1.5","workflow":{"specification":{"tasks":)" +
         specification + R"(},"execution":{"tasks":)" + execution + "}}}";
}

constexpr const char* kTwoRecords =
    R"([{"id":"a","runtimeInSeconds":1.5},{"id":"b","runtimeInSeconds":2}])";

std::string Problem(const std::string& file) {
  auto workflow = ParseWorkflow(file);
  return workflow.ok() ? "accepted" : Message(workflow.status());
}

TEST(ParseWorkflow, TakesParentsAndChildrenTogetherEachEdgeOnce) {
  auto workflow = ParseWorkflow(
      File(R"([{"id":"a","children":["b"]},{"id":"b","parents":["a"]},{"id":"c","parents":["a"]}])",
           R"([{"id":"a","runtimeInSeconds":1},{"id":"b","runtimeInSeconds":2},
          {"id":"c","runtimeInSeconds":0}])"));
  ASSERT_TRUE(workflow.ok()) << workflow.status();
  EXPECT_EQ(workflow->edges, (std::vector<std::pair<size_t, size_t>>{{0, 1}, {0, 2}}));
  EXPECT_DOUBLE_EQ(workflow->TotalRuntime(), 3);
}

TEST(ParseWorkflow, NamesThePlaceOfWhatIsWrong) {
  EXPECT_NE(Problem("{\"name\": }").find("line 1, column 10"), std::string::npos);
  EXPECT_EQ(Problem("[]"), "the file holds no JSON object");
  EXPECT_EQ(Problem(R"({"schemaVersion":"1.4"})"),
            "schemaVersion: 1.4 is not supported; only WfFormat 1.5 is read");
  EXPECT_EQ(Problem(R"({"schemaVersion":"1.5","workflow":{}})"), "workflow.specification: missing");
  EXPECT_EQ(Problem(File("{}", "[]")), "workflow.specification.tasks: must be a list");
  EXPECT_EQ(Problem(File("[]", "[]")), "workflow.specification.tasks: no tasks");
  EXPECT_EQ(Problem(File("[3]", "[]")), "workflow.specification.tasks[0]: must be an object");
  EXPECT_EQ(Problem(File(R"([{"id":"a"},{"id":"a"}])", "[]")),
            "workflow.specification.tasks[1].id: \"a\" is there twice");
  EXPECT_EQ(Problem(File(R"([{"id":"a","parents":["x"]}])", "[]")),
            "workflow.specification.tasks[0].parents[0]: no task has the id \"x\"");
  EXPECT_EQ(Problem(File(R"([{"id":"a","children":["a"]}])", "[]")),
            "workflow.specification.tasks[0].children[0]: the task itself");
  EXPECT_EQ(Problem(File(R"([{"id":"a","parents":7}])", "[]")),
            "workflow.specification.tasks[0].parents: must be a list");
  EXPECT_EQ(Problem(File(R"([{"id":"a"}])", R"([{"id":"a","runtimeInSeconds":-1}])")),
            "workflow.execution.tasks[0].runtimeInSeconds: must be a number from 0");
  EXPECT_EQ(Problem(File(R"([{"id":"a"}])", kTwoRecords)),
            "workflow.execution.tasks[1].id: no task has the id \"b\"");
  EXPECT_EQ(Problem(File(R"([{"id":"a"},{"id":"c"}])", R"([{"id":"a","runtimeInSeconds":1}])")),
            "workflow.execution.tasks: no record of \"c\" (workflow.specification.tasks[1])");
  EXPECT_EQ(
      Problem(File(R"([{"id":"a","parents":["b"]},{"id":"b","parents":["a"]}])", kTwoRecords)),
      "workflow.specification.tasks[0]: \"a\" is on a cycle, or behind one");
}

TEST(VertexIds, HoldOnlyAllowedCharactersAndStayUnique) {
  Workflow workflow;
  const std::string endless(300, 'x');
  for (const std::string& id : {std::string("a b"), std::string("a/b"), std::string("a_b"),
                                std::string("a_b-2"), endless, endless + "y"}) {
    workflow.tasks.push_back({id, id, 0});
  }
  const auto ids = VertexIds(workflow);
  EXPECT_EQ(ids[0], "a_b");
  EXPECT_EQ(ids[1], "a_b-2");
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  for (const std::string& id : ids) {
    EXPECT_LE(id.size(), 128u);
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789_.:-"),
              std::string::npos)
        << id;
  }
}

TEST(ToJobJson, ScalesTheRecordedRuntime) {
  auto workflow = ParseWorkflow(File(R"([{"id":"a"},{"id":"b"}])", kTwoRecords));
  ASSERT_TRUE(workflow.ok());
  JobProblems problems;
  const auto job = ParseJobGraphJson(ToJobJson(*workflow, 0.5), JobLimits(), &problems);
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->graph->vertices[0].command.back(), "0.750");
  EXPECT_EQ(job->graph->vertices[1].command.back(), "1.000");
}

}  // namespace
}  // namespace baton
