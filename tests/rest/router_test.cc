#include "rest/router.h"

#include <gtest/gtest.h>

#include "rest/responses.h"
#include "rest/uri.h"

namespace baton {
namespace {

LocalRoute Says(std::string what) {
  return [what](const RoutedRequest&) { return TextResponse(200, what); };
}

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    router_.Add("GET", "/jobs/overview", Says("overview"));
    router_.Add("GET", "/jobs/:jobid", Says("job"));
    router_.Add("PATCH", "/jobs/:jobid", Says("cancel"));
    router_.Add("GET", "/jobs/:jobid/vertices/:vertexid", Says("vertex"));
  }

  HttpResponse Ask(std::string method, std::string target) {
    HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    auto found = router_.Find(std::move(request));
    if (auto* refusal = std::get_if<HttpResponse>(&found)) return *refusal;
    last_ = std::get<Router::Match>(found);
    return std::get<LocalRoute>(*last_.route)(last_.request);
  }

  Router router_;
  Router::Match last_;
};

TEST_F(RouterTest, ServesPathsWithAndWithoutVersion) {
  EXPECT_EQ(Ask("GET", "/jobs/overview").body, "overview");
  EXPECT_EQ(Ask("GET", "/v1/jobs/overview").body, "overview");
  EXPECT_EQ(Ask("GET", "/v1/jobs/overview/").body, "overview");
  EXPECT_EQ(Ask("GET", "/v2/jobs/overview").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/v1/jobs/overview").status, 404);
}

TEST_F(RouterTest, DecodesParametersAndQuery) {
  EXPECT_EQ(Ask("GET", "/jobs/x%2Fy/vertices/a+b%20c?offset=5&x=%26+1&x=2&flag").body, "vertex");
  EXPECT_EQ(last_.request.Param("jobid"), "x/y");
  EXPECT_EQ(last_.request.Param("vertexid"), "a+b c");
  EXPECT_EQ(last_.request.Query("offset"), "5");
  EXPECT_EQ(last_.request.Query("x"), "& 1");
  EXPECT_EQ(last_.request.Query("flag"), "");
  EXPECT_EQ(last_.request.Query("absent"), std::nullopt);
}

TEST_F(RouterTest, AnswersAnUnknownPathWith404) {
  HttpResponse response = Ask("GET", "/nosuch?x=1");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, R"({"errors":["Not found: /nosuch"]})");
  EXPECT_EQ(Ask("GET", "/").status, 404);
  EXPECT_EQ(Ask("GET", "/v1").status, 404);
}

TEST_F(RouterTest, AnswersAWrongMethodWith405AndWhatIsAllowed) {
  HttpResponse response = Ask("DELETE", "/jobs/1");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.Header("allow"), "GET, HEAD, PATCH");
}

TEST_F(RouterTest, ServesHeadWhereGetIs) {
  EXPECT_EQ(Ask("HEAD", "/jobs/1").body, "job");
  EXPECT_EQ(last_.request.http.method, "HEAD");
}

TEST_F(RouterTest, RefusesBrokenEscapes) {
  EXPECT_EQ(Ask("GET", "/jobs/%4").status, 400);
  EXPECT_EQ(Ask("GET", "/jobs/%zz").status, 400);
  EXPECT_EQ(Ask("GET", "/jobs/1?x=%").status, 400);
  EXPECT_EQ(Ask("GET", "jobs").status, 400);
  EXPECT_EQ(Ask("GET", "").status, 400);
}

TEST(UriTest, KeepsNulBytesAsBytes) {
  auto decoded = PercentDecode("a%00b", PlusSign::kLiteral);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, std::string("a\0b", 3));
}

}  // namespace
}  // namespace baton
