#include "cli/cluster/delay_line.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/status.h"
#include "cli/cluster/tool.h"

namespace baton {
namespace {

// More than that is lost, as in any queue of a network.
constexpr size_t kMostBytes = 64 << 20;
// A frame may be a whole train of segments that the kernel has not taken apart yet, with the header
// that says so (PACKET_VNET_HDR) and that the checksum is still to be made.
constexpr size_t kLongestFrame = 72 << 10;

int NextNumber() {
  static std::atomic<int> number = 0;
  return ++number;
}

// A socket that takes what arrives at the interface, and by which one sends. -1: errno says why.
int OpenEnd(const std::string& interface) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  const int buffer = 8 << 20;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const bool ready = address.sll_ifindex != 0 &&
                     setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0 &&
                     setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0 &&
                     bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (ready) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

DelayLine::DelayLine(Options options)
    : options_(std::move(options)),
      far_(fmt::format("far-{}", NextNumber())),
      near_("near" + far_.substr(3)),
      buffer_(kLongestFrame) {}

absl::StatusOr<std::unique_ptr<DelayLine>> DelayLine::Insert(Options options) {
  std::unique_ptr<DelayLine> line(new DelayLine(std::move(options)));
  line->wake_ = eventfd(0, EFD_CLOEXEC);
  if (line->wake_ < 0) return Internal("eventfd: {}", std::strerror(errno));
  if (auto status = line->Plug(); !status.ok()) return status;
  if (auto status = line->OpenEnds(); !status.ok()) return status;
  line->thread_ = std::thread([&line = *line] { line.Carry(); });
  return line;
}

DelayLine::~DelayLine() {
  (void)Remove();
  for (const int fd : {ends_[0], ends_[1], wake_}) {
    if (fd >= 0) close(fd);
  }
}

absl::Status DelayLine::InSwitch(const std::string& ip_commands) const {
  const std::string name = std::filesystem::path(options_.switch_namespace).filename();
  return RunTool({"ip", "-n", name, "-batch", "-"}, ip_commands).status();
}

absl::Status DelayLine::Plug() const {
  return InSwitch(
      fmt::format("link set dev {0} nomaster\n"
                  "link set dev {0} down\n"
                  "link set dev {0} name {1}\n"
                  "link add name {0} type veth peer name {2}\n"
                  "link set dev {0} master bridge up\n"
                  "link set dev {2} up\n"
                  "link set dev {1} up\n",
                  options_.host, far_, near_));
}

// A socket belongs to the network in which it was made: that of a thread which lives there.
absl::Status DelayLine::OpenEnds() {
  int error = 0;
  std::thread there([&] {
    const int network = open(options_.switch_namespace.c_str(), O_RDONLY | O_CLOEXEC);
    const bool entered = network >= 0 && setns(network, CLONE_NEWNET) == 0;
    if (entered) ends_ = {OpenEnd(far_), OpenEnd(near_)};
    if (ends_[0] < 0 || ends_[1] < 0) error = errno;
    if (network >= 0) close(network);
  });
  there.join();
  return error == 0 ? absl::OkStatus()
                    : Internal("{}: a packet socket: {}", options_.host, std::strerror(error));
}

void DelayLine::Carry() {
  while (!stopping_) {
    timespec rest{};
    if (!on_the_way_.empty()) {
      const auto left = std::max(on_the_way_.front().due - std::chrono::steady_clock::now(),
                                 std::chrono::steady_clock::duration(0));
      rest.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
      rest.tv_nsec = std::chrono::nanoseconds(left % std::chrono::seconds(1)).count();
    }
    pollfd polled[] = {{ends_[0], POLLIN, 0}, {ends_[1], POLLIN, 0}, {wake_, POLLIN, 0}};
    ppoll(polled, std::size(polled), on_the_way_.empty() ? nullptr : &rest, nullptr);
    for (const size_t end : {0, 1}) Receive(end);
    Send(std::chrono::steady_clock::now());
  }
  Send(Time::max());
}

void DelayLine::Receive(size_t from) {
  while (true) {
    const ssize_t got = recv(ends_[from], buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (got < 0) return;
    const auto bytes = static_cast<size_t>(got);
    if (bytes > buffer_.size() || bytes_ + bytes > kMostBytes) continue;  // lost
    bytes_ += bytes;
    on_the_way_.push_back({std::chrono::steady_clock::now() + options_.delay,
                           1 - from,
                           {buffer_.begin(), buffer_.begin() + got}});
  }
}

void DelayLine::Send(Time until) {
  while (!on_the_way_.empty() && on_the_way_.front().due <= until) {
    const Frame& frame = on_the_way_.front();
    // Lost where the cable is unplugged or its queue is full.
    (void)!write(ends_[frame.to], frame.bytes.data(), frame.bytes.size());
    bytes_ -= frame.bytes.size();
    on_the_way_.pop_front();
  }
}

absl::Status DelayLine::Remove() {
  if (stopping_.exchange(true)) return absl::OkStatus();
  const uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  return InSwitch(
      fmt::format("link del {2}\n"
                  "link set dev {1} down\n"
                  "link set dev {1} name {0}\n"
                  "link set dev {0} master bridge up\n",
                  options_.host, far_, near_));
}

}  // namespace baton
