// Bad input gets a 4xx that says what is wrong and where, and changes nothing (P8), whichever
// replica hears it.

#include <ostream>
#include <set>

#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

struct BadJob {
  const char* name;
  std::string body;
  int status;
  std::string phrase;  // that the sentence must contain
};

void PrintTo(const BadJob& job, std::ostream* out) { *out << job.name; }

std::string Vertex(const std::string& fields) {
  return R"({"name":"bad","vertices":[{"id":"a","command":["true"])" + fields + "}]}";
}

std::vector<BadJob> BadJobs() {
  const std::string two = R"({"name":"bad","vertices":[{"id":"a","command":["true"]},)"
                          R"({"id":"b","command":["true"]}],"edges":[)";
  return {
      {"Empty", "", 400, "empty"},
      {"NoObject", "[]", 400, "object"},
      {"Malformed", R"({"name": "bad", "vertices": [)", 400, ""},
      {"NotJson", "hello", 400, ""},
      {"NothingInIt", "{}", 400, "vertices"},
      {"Cyclic", two + R"({"source":"a","target":"b"},{"source":"b","target":"a"}]})", 400,
       "a -> b"},
      {"EdgeToNowhere", two + R"({"source":"a","target":"c"}]})", 400, "edges[0].target"},
      {"UnknownField", Vertex(R"(,"comand":["x"])"), 400, "vertices[0].comand"},
      {"TooParallel", Vertex(R"(,"parallelism":1000000)"), 400, "vertices[0].parallelism"},
      {"NegativeParallelism", Vertex(R"(,"parallelism":-1)"), 400, "vertices[0].parallelism"},
      {"WrongType", Vertex(R"(,"parallelism":"many")"), 400, "vertices[0].parallelism"},
      {"EscapedNul", Vertex(R"(,"name":"a\u0000b")"), 400, "vertices[0].name"},
      {"NulInCommand", R"({"name":"bad","vertices":[{"id":"a","command":["a\u0000b"]}]})", 400,
       "vertices[0].command"},
      {"RawNul", std::string("{\"name\":\"a\0b\"}", 14), 400, ""},
      {"NoUtf8", "{\"name\":\"\xff\xfe\"}", 400, ""},
      {"Deep", std::string(100'000, '['), 400, ""},
      {"TooLarge", std::string(size_t{100} << 20, ' '), 413, ""},
  };
}

// The ids of all jobs there are.
std::set<std::string> Jobs(const std::string& address) {
  std::set<std::string> ids;
  const auto reply = Get(address, "/v1/jobs");
  EXPECT_TRUE(reply.ok() && reply->status == 200) << reply.status();
  const auto answer = nlohmann::json::parse(reply.ok() ? reply->body : "{}");
  for (const auto& job : answer.value("jobs", nlohmann::json::array())) ids.insert(job.at("id"));
  return ids;
}

class BadJobTest : public ClusterTest, public testing::WithParamInterface<BadJob> {};

// Every 4xx has Flink's error body with one sentence at least.
void ExpectRefused(const absl::StatusOr<HttpReply>& reply, int status, const std::string& phrase) {
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, status) << reply->body;
  const auto body = nlohmann::json::parse(reply->body, nullptr, false);
  ASSERT_TRUE(body.is_object() && body.contains("errors") && !body.at("errors").empty())
      << reply->body;
  EXPECT_NE(body.at("errors").dump().find(phrase), std::string::npos)
      << reply->body << " does not name " << phrase;
}

TEST_P(BadJobTest, IsRefusedWithItsPlaceAndChangesNothing) {
  const std::set<std::string> before = Jobs(Balancer());
  for (const std::string& replica : Replicas()) {
    const std::string job = NewJobId();
    ExpectRefused(Put(Rest(replica), job, GetParam().body), GetParam().status, GetParam().phrase);
    ExpectRefused(Exchange(Rest(replica), RequestBytes("POST", "/v1/jobs", GetParam().body)),
                  GetParam().status, GetParam().phrase);
    EXPECT_EQ(Get(Rest(replica), "/v1/jobs/" + job)->status, 404);
  }
  EXPECT_EQ(Jobs(Balancer()), before);
}

INSTANTIATE_TEST_SUITE_P(Each, BadJobTest, testing::ValuesIn(BadJobs()),
                         [](const auto& info) { return info.param.name; });

class BadRequestTest : public ClusterTest {};

TEST_F(BadRequestTest, IsAnsweredWithA4xx) {
  const std::string absent = NewJobId();
  for (const std::string& replica : Replicas()) {
    const std::string address = Rest(replica);
    ExpectRefused(Put(address, "not-an-id", QuickJob()), 400, "not-an-id");
    ExpectRefused(Get(address, "/v1/jobs/not-an-id"), 400, "not-an-id");
    ExpectRefused(Get(address, "/v1/jobs/" + absent), 404, absent);
    ExpectRefused(Get(address, "/v1/no-such-thing"), 404, "/v1/no-such-thing");
    ExpectRefused(Exchange(address, RequestBytes("PUT", "/v1/overview", "")), 405, "");
    ExpectRefused(
        Exchange(address, RequestBytes("PATCH", "/v1/jobs/" + absent + "?mode=cancel", "")), 404,
        absent);
    ExpectRefused(Exchange(address, RequestBytes("PUT", "/v1/jobs/" + absent,
                                                 R"({"jobid":")" + NewJobId() +
                                                     R"(","name":"x","vertices":[]})")),
                  400, "");
  }
}

TEST_F(BadRequestTest, GarbageInsteadOfHttpHurtsNobody) {
  for (const std::string& replica : Replicas()) {
    const std::string address = Rest(replica);
    const std::string nul("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 28);
    for (const std::string& bytes :
         {std::string("\x16\x03\x01\x02\x00garbage\r\n\r\n", 16), nul,
          std::string("GET / HTTP/9.9\r\n\r\n"), std::string("\r\n\r\n\r\n\r\n"),
          "GET / HTTP/1.1\r\nX: " + std::string(1 << 20, 'x') + "\r\n\r\n"}) {
      const auto reply = Exchange(address, bytes);  // an answer or a closed connection
      if (reply.ok()) {
        EXPECT_EQ(reply->status / 100, 4) << reply->head;
      }
    }
    EXPECT_EQ(Get(address, "/health")->status, 200);
  }
  EXPECT_TRUE(Eventually(Calm));
}

}  // namespace
}  // namespace baton::integration
