// Thousands of clients that send or read next to nothing: the leader's memory stays bounded, and
// everybody else is served.

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "fmt/core.h"
#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

constexpr int kIdle = 5'000;
constexpr int kDripping = 200;  // of each kind
constexpr int kStuckReaders = 150;
constexpr int kAnswerBytes = 1'000'000;
constexpr int64_t kMostGrowth = 64 << 20;

// A client whose kernel keeps little for it.
class SlowClient {
 public:
  explicit SlowClient(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const int small = 4096;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~SlowClient() {
    if (fd_ >= 0) close(fd_);
  }
  SlowClient(SlowClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}

  bool connected() const { return connected_; }
  void Send(std::string_view bytes) { (void)send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // The first bytes of an answer, and no more.
  std::string ReadLittle() {
    const timeval most{30, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    char bytes[12] = {};
    const ssize_t count = recv(fd_, bytes, sizeof bytes, 0);
    return std::string(bytes, count > 0 ? static_cast<size_t>(count) : 0);
  }

 private:
  int fd_;
  bool connected_ = false;
};

class SlowClientsTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_GT(limit.rlim_max, 6'000u) << "so many files must be open here, and in the leader";
    leader_ = Leader().replica;
  }

  int64_t MemoryOfLeader() const {
    std::ifstream statm(
        fmt::format("/proc/{}/statm", cluster().state().Find(leader_)->process.pid));
    int64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * sysconf(_SC_PAGESIZE);
  }

  void Add(std::string_view first, std::vector<SlowClient>* clients) {
    clients->emplace_back(Rest(leader_));
    ASSERT_TRUE(clients->back().connected());
    clients->back().Send(first);
  }

  // The path of a log of kAnswerBytes.
  std::string LargeAnswer() {
    const std::string job = NewJobId();
    const auto reply = Put(Balancer(), job,
                           fmt::format(R"({{"name":"talks","vertices":[{{"id":"task","command":)"
                                       R"(["sh","-c","head -c {} /dev/zero | tr '\\0' x"]}}]}})",
                                       kAnswerBytes));
    EXPECT_TRUE(reply.ok() && reply->status == 202);
    EXPECT_TRUE(Eventually([&] { return JobState(job) == "FINISHED"; }));
    return "/v1/jobs/" + job + "/vertices/task/subtasks/0/attempts/0/stdout";
  }

  void ExpectOthersServed() {
    for (int i = 0; i < 10; ++i) {
      const auto overview = Get(Rest(leader_), "/v1/overview");
      ASSERT_TRUE(overview.ok()) << overview.status();
      EXPECT_EQ(overview->status, 200) << overview->body;
      const auto put = Put(Rest(leader_), NewJobId(), QuickJob());
      ASSERT_TRUE(put.ok()) << put.status();
      EXPECT_EQ(put->status, 202) << put->body;
    }
  }

  std::string leader_;
};

TEST_F(SlowClientsTest, CostLittleAndEverybodyElseIsAnswered) {
  const std::string large = LargeAnswer();
  ASSERT_EQ(Get(Rest(leader_), large)->body.size(), size_t{kAnswerBytes});
  const int64_t before = MemoryOfLeader();
  int64_t most = before;
  const auto look = [&] { most = std::max(most, MemoryOfLeader()); };

  std::vector<SlowClient> idle, headers, bodies, readers;
  for (int i = 0; i < kIdle; ++i) Add("", &idle);
  for (int i = 0; i < kDripping; ++i) {
    Add("GET /v1/overview HTTP/1.1\r\nX: ", &headers);
    Add("POST /v1/jobs HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n{", &bodies);
  }
  for (int i = 0; i < kStuckReaders; ++i) {
    Add(RequestBytes("GET", large, ""), &readers);
    EXPECT_EQ(readers.back().ReadLittle(), "HTTP/1.1 200") << i;
    look();
  }
  for (int round = 0; round < 5; ++round) {
    for (SlowClient& client : headers) client.Send("x");
    for (SlowClient& client : bodies) client.Send(" ");
    ExpectOthersServed();
    look();
  }
  EXPECT_LT(most - before, kMostGrowth) << before << " bytes before, " << most << " at most";
  RecordProperty("growth_bytes", std::to_string(most - before));
  EXPECT_EQ(Leader().replica, leader_);
}

}  // namespace
}  // namespace baton::integration
