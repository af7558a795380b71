// The bytes on a connection to the REST port, through the production session (Beast's parser with
// our limits), router and routes to a Dispatcher that answers as told.
//
// Whatever comes, what goes back is well-formed HTTP, JSON where it says so, errors in the shape of
// {"errors": [...]}, and a 5xx only where the leader or its absence is the reason.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <utility>
// Boost 1.74's Asio needs <utility> first in C++20.
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/status.h"
#include "rest/http_session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/rest/fakes.h"

namespace baton::fuzz {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

enum class Scene : uint8_t { kSelfLeads, kLeaderFails, kOtherLeads, kNobodyLeads, kCount };

// What may be answered although this replica and its leader are well.
const std::set<int> kExpected = {200, 202, 400, 403, 404, 405, 408,
                                 409, 413, 415, 417, 429, 431, 503};
// /leader on a standby, a leader that cannot be reached, or does not answer in time.
const std::set<int> kOfTheLeader = {500, 502, 503, 504};

const absl::StatusCode kFailures[] = {
    absl::StatusCode::kNotFound,          absl::StatusCode::kInvalidArgument,
    absl::StatusCode::kAlreadyExists,     absl::StatusCode::kFailedPrecondition,
    absl::StatusCode::kResourceExhausted, absl::StatusCode::kUnavailable,
    absl::StatusCode::kAborted,           absl::StatusCode::kUnknown,
    absl::StatusCode::kInternal,          absl::StatusCode::kDataLoss};

JobDetails AJob(const JobGraphPtr& graph) {
  JobDetails job;
  job.overview.id = *JobId::Parse(kJobHex);
  job.overview.name = graph->name;
  job.graph = graph;
  for (const auto& vertex : graph->vertices) {
    VertexDetails details;
    details.id = vertex.id;
    details.name = vertex.name;
    details.parallelism = vertex.parallelism;
    details.subtasks.resize(vertex.parallelism);
    job.vertices.push_back(std::move(details));
  }
  job.exceptions.push_back({"it failed \x01\"", 5, "v (1/1)", "host", "tm"});
  return job;
}

// One replica in virtual time, and the server side of its one connection.
class World final : public RequestHandler {
 public:
  World(Scene scene, uint8_t detail) : detail_(detail) {
    if (scene == Scene::kSelfLeads || scene == Scene::kLeaderFails) {
      auto gateway = world_.SelfLeads(7);
      JobProblems none;
      gateway->job = AJob(ParseJobGraphJson(kJobJson, JobLimits(), &none)->graph);
      gateway->vertex = gateway->job->vertices[0];
      gateway->task_managers.push_back({.id = "tm-1", .drain = DrainInfo{}, .slots = 2});
      gateway->log = {.content = "a line\n\xff", .size = 9, .ended = detail % 2 == 0};
      gateway->known = detail % 3 == 0;
      if (scene == Scene::kLeaderFails) {
        gateway->error = absl::Status(kFailures[detail % std::size(kFailures)], "why \x02");
      }
    } else if (scene == Scene::kOtherLeads) {
      world_.OtherLeads("b", 7);
    } else {
      world_.NobodyLeads();
    }
  }
  ~World() override { world_.endpoint->Stop(); }

  // On the session's strand, which is this thread.
  void Handle(HttpRequest request, HttpReply reply) override {
    ++requests_;
    world_.endpoint->Handle(std::move(request),
                            [this, reply = std::move(reply)](HttpResponse response) mutable {
                              ++answers_;
                              reply(std::move(response));
                            });
    Settle();
    FUZZ_CHECK(answers_ == requests_, "a request is not answered in bounded time");
  }

 private:
  // What is forwarded is answered; what is held waits until it is let go.
  void Settle() {
    for (int i = 0; i < 100 && answers_ < requests_; ++i) {
      while (!world_.transport->sent.empty()) {
        HttpResponse answer{200, {{"Content-Type", "application/json"}}, "{}"};
        if (detail_ % 4 == 1) {
          answer.status = 503;
          answer.body = R"({"errors": ["later"]})";  // a leader's
        }
        absl::StatusOr<HttpResponse> result = std::move(answer);
        if (detail_ % 4 == 2) result = Unavailable("refused");
        if (detail_ % 4 == 3) result = Unknown("it broke");
        world_.transport->Take().Answer(std::move(result));
        world_.scheduler.RunUntilIdle();
      }
      if (answers_ < requests_) world_.scheduler.AdvanceBy(std::chrono::seconds(1));
    }
  }

  const uint8_t detail_;
  EndpointWorld world_;
  int requests_ = 0;
  int answers_ = 0;
};

// The client's end of a socket pair: says everything, hears everything.
class Client {
 public:
  explicit Client(int fd) : fd_(fd) {}
  ~Client() { ::close(fd_); }

  void Say(const std::string& bytes) {
    size_t done = 0;
    while (done < bytes.size()) {
      const auto count =
          ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    ::shutdown(fd_, SHUT_WR);
  }

  void Hear() {
    char buffer[16 << 10];
    for (;;) {
      const auto count = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count <= 0) return;
      heard_.append(buffer, static_cast<size_t>(count));
    }
  }

  const std::string& heard() const { return heard_; }

 private:
  const int fd_;
  std::string heard_;
};

std::string Exchange(const std::string& bytes, World& world) {
  asio::io_context io(1);
  int fds[2];
  FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "no socket pair");
  Client client(fds[1]);
  auto context = std::make_shared<HttpSessionContext>();
  context->limits.max_header_bytes = 2 << 10;
  context->limits.max_body_bytes = 8 << 10;
  context->handler = &world;
  context->reading = std::make_shared<ByteBudget>(64 << 10);
  context->writing = std::make_shared<ByteBudget>(1 << 20);
  bool ended = false;
  context->on_end = [&ended](uint64_t) { ended = true; };
  {
    asio::ip::tcp::socket socket(asio::make_strand(io));
    socket.assign(asio::ip::tcp::v4(), fds[0]);
    HttpSession::New(1, std::move(socket), context)->Serve();
  }
  client.Say(bytes);
  // All that it has is there: it ends without waiting for a clock.
  for (int i = 0; i < 100'000 && !ended; ++i) {
    io.poll();
    client.Hear();
  }
  FUZZ_CHECK(ended, "the session does not end");
  io.poll();
  client.Hear();
  return client.heard();
}

void CheckError(const nlohmann::json& body) {
  FUZZ_CHECK(body.is_object() && body.contains("errors"), body.dump());
  const auto& errors = body["errors"];
  FUZZ_CHECK(errors.is_array() && !errors.empty(), body.dump());
  for (const auto& error : errors) FUZZ_CHECK(error.is_string(), body.dump());
}

void CheckAnswer(const http::response<http::string_body>& answer, Scene scene) {
  const int status = static_cast<int>(answer.result_int());
  const std::string& body = answer.body();
  const std::string shown = std::to_string(status) + " " + body;
  const bool documented =
      kExpected.contains(status) || (scene != Scene::kSelfLeads && kOfTheLeader.contains(status));
  FUZZ_CHECK(documented, "no such answer is documented: " + shown);
  const auto type = answer[http::field::content_type];
  if (type.find("application/json") == boost::beast::string_view::npos) return;
  if (body.empty()) return;  // of a HEAD
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  FUZZ_CHECK(!json.is_discarded(), "no JSON: " + shown);
  if (status >= 400) CheckError(json);
}

// Interim answers ("100 Continue") included; whether one is to a HEAD the bytes do not say, so a
// body may be missing in the last one read.
void CheckAnswers(const std::string& heard, Scene scene, bool has_head) {
  boost::beast::flat_buffer buffer;
  const auto room = buffer.prepare(heard.size());
  asio::buffer_copy(room, asio::buffer(heard));
  buffer.commit(heard.size());
  while (buffer.size() > 0) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.body_limit(16 << 20);
    if (has_head) parser.skip(true);
    boost::system::error_code error;
    buffer.consume(parser.put(buffer.data(), error));
    FUZZ_CHECK(!error, "what is answered is no HTTP: " + error.message() + "\n" + heard);
    FUZZ_CHECK(parser.is_done(), "an answer that is not whole:\n" + heard);
    if (parser.get().result() == http::status::continue_) continue;
    CheckAnswer(parser.get(), scene);
    if (has_head) return;  // where its body ends is not known
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  testing::GTEST_FLAG(break_on_failure) = true;  // of what the fakes expect
  return baton::log::Init("fuzz", "/dev/null", baton::log::Level::kError).ok() ? 0 : 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const auto scene = static_cast<Scene>(input.Byte() % static_cast<uint8_t>(Scene::kCount));
  World world(scene, input.Byte());
  const std::string bytes = input.Rest();
  const std::string heard = Exchange(bytes, world);
  CheckAnswers(heard, scene, bytes.starts_with("HEAD") || bytes.find("\nHEAD") != bytes.npos);
  return 0;
}

}  // namespace baton::fuzz
