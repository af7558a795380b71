#include "cli/cluster/host_network.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "base/status.h"
#include "cli/cluster/tool.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr int kNetworks = 512;  // /24s in 198.18.0.0/15
constexpr size_t kFirstHost = 10;
constexpr size_t kMostHosts = 200;
constexpr char kNamespaces[] = "/run/netns";
constexpr char kSwitch[] = "switch";

// The switch forwards what no cut names. Only IPv4 is dropped: ARP goes through, so that a cut
// looks the same whether or not the hosts have spoken before (silence, never "no route to host").
constexpr char kSwitchRules[] =
    "table bridge baton {\n"
    "  set cuts { type ifname . ifname; }\n"
    "  chain loss {\n"
    "  }\n"
    "  chain forward {\n"
    "    type filter hook forward priority 0; policy accept;\n"
    "    meta protocol ip iifname . oifname @cuts drop\n"
    "    jump loss\n"
    "  }\n"
    "}\n";

// Held while networks are looked at and made.
class Lock {
 public:
  Lock() : fd_(open("/run/baton-hosts.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ >= 0) flock(fd_, LOCK_EX);
  }
  ~Lock() {
    if (fd_ >= 0) close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool held() const { return fd_ >= 0; }

 private:
  const int fd_;
};

std::vector<std::string> NamespacesOf(int number) {
  const std::string prefix = fmt::format("baton-{}-", number);
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kNamespaces, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

std::set<int> NumbersInUse() {
  std::set<int> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kNamespaces, error)) {
    int number = 0;
    const std::string name = entry.path().filename();
    if (std::sscanf(name.c_str(), "baton-%d-", &number) == 1) numbers.insert(number);
  }
  return numbers;
}

// The namespaces (inode numbers) in which any process lives.
std::set<ino_t> InhabitedNamespaces() {
  std::set<ino_t> inodes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    struct stat about {};
    if (stat((entry.path() / "ns/net").c_str(), &about) == 0) inodes.insert(about.st_ino);
  }
  return inodes;
}

std::string InterfaceOf(int number) { return fmt::format("baton-{}", number); }

// The owner is remembered by the kernel, as the machine's interface's alias: "<pid>:<start time>".
bool OwnerAlive(int number) {
  std::ifstream file(fmt::format("/sys/class/net/{}/ifalias", InterfaceOf(number)));
  ProcessId owner;
  char colon = 0;
  if (!(file >> owner.pid >> colon >> owner.start_time)) return false;
  return IsAlive(owner);
}

void RemoveLeftovers() {
  const std::set<ino_t> inhabited = InhabitedNamespaces();
  for (const int number : NumbersInUse()) {
    if (OwnerAlive(number)) continue;
    const auto names = NamespacesOf(number);
    const bool lives = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      struct stat about {};
      return stat(fmt::format("{}/{}", kNamespaces, name).c_str(), &about) == 0 &&
             inhabited.contains(about.st_ino);
    });
    if (!lives) (void)HostNetwork(number).Remove();
  }
}

uint32_t NetworkOf(int number) {  // 198.18.0.0 + n * 256
  return (198u << 24) + (18u << 16) + (static_cast<uint32_t>(number) << 8);
}

// Whether the machine routes something else to where the network would be.
bool Routed(int number) {
  std::ifstream file("/proc/net/route");
  std::string line;
  std::getline(file, line);  // the header
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string interface, text;
    std::string destination, mask;
    if (!(fields >> interface >> destination >> text >> text >> text >> text >> text >> mask)) {
      continue;
    }
    const uint32_t to = __builtin_bswap32(std::stoul(destination, nullptr, 16));
    const uint32_t bits = __builtin_bswap32(std::stoul(mask, nullptr, 16));
    const uint32_t common = bits & 0xffffff00u;
    if (bits != 0 && (to & common) == (NetworkOf(number) & common)) return true;
  }
  return false;
}

absl::StatusOr<int> ChooseNumber(int wanted) {
  const std::set<int> used = NumbersInUse();
  if (wanted != HostNetwork::kAny) {
    if (!used.contains(wanted)) return wanted;
    return FailedPrecondition("the hosts baton-{}-* are in use by another cluster", wanted);
  }
  for (int number = 0; number < kNetworks; ++number) {
    if (!used.contains(number) && !Routed(number)) return number;
  }
  return ResourceExhausted("no network of 198.18.0.0/15 is free");
}

// What `ip` and `nft` say, in the words of what was wanted.
absl::Status Explain(const absl::Status& status) {
  if (absl::IsNotFound(status)) {
    return NotFound("{} (Debian: apt-get install iproute2 nftables)", Message(status));
  }
  const std::string text = Message(status);
  if (text.find("not permitted") == std::string::npos &&
      text.find("ermission denied") == std::string::npos) {
    return status;
  }
  return FailedPrecondition(
      "hosts are network namespaces, and making them needs the rights of root ({})", text);
}

absl::Status Ip(const std::vector<std::string>& options, const std::string& batch) {
  std::vector<std::string> argv = {"ip"};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.insert(argv.end(), {"-batch", "-"});
  return Explain(RunTool(argv, batch).status());
}

}  // namespace

absl::StatusOr<HostNetwork> HostNetwork::Make(const Options& options) {
  if (options.hosts.size() > kMostHosts) return InvalidArgument("more than {} hosts", kMostHosts);
  if (geteuid() != 0) {
    return FailedPrecondition(
        "hosts are network namespaces, and making them needs the rights of root (sudo)");
  }
  const Lock lock;
  if (!lock.held()) return Internal("/run/baton-hosts.lock: {}", std::strerror(errno));
  RemoveLeftovers();
  const auto number = ChooseNumber(options.number);
  if (!number.ok()) return number.status();
  const HostNetwork network(*number);
  if (auto status = network.Build(options); !status.ok()) {
    (void)network.Remove();
    return status;
  }
  return network;
}

absl::Status HostNetwork::Build(const Options& options) const {
  std::string machine = fmt::format("netns add {}\n", NamespaceName(kSwitch));
  for (const std::string& host : options.hosts) {
    machine += fmt::format("netns add {}\n", NamespaceName(host));
  }
  const std::string cable = InterfaceName();
  machine += fmt::format("link add name {} type veth peer name {} netns {}\n", cable, kMachineHost,
                         NamespaceName(kSwitch));
  machine += fmt::format("link set dev {} alias {}:{}\n", cable, options.owner.pid,
                         options.owner.start_time);
  machine += fmt::format("addr add {}1/24 dev {}\nlink set dev {} up\n", Prefix(), cable, cable);
  if (auto status = Ip({}, machine); !status.ok()) return status;

  std::string cables = fmt::format(
      "link add name bridge type bridge\nlink set dev bridge up\nlink set dev {} master bridge "
      "up\n",
      kMachineHost);
  for (const std::string& host : options.hosts) {
    cables += fmt::format("link add name {} type veth peer name eth0 netns {}\n", host,
                          NamespaceName(host));
    cables += fmt::format("link set dev {} master bridge up\n", host);
  }
  if (auto status = Ip({"-n", NamespaceName(kSwitch)}, cables); !status.ok()) return status;

  for (size_t i = 0; i < options.hosts.size(); ++i) {
    const std::string host = fmt::format(
        "link set dev lo up\naddr add {}/24 dev eth0\nlink set dev eth0 up\n", Address(i));
    if (auto status = Ip({"-n", NamespaceName(options.hosts[i])}, host); !status.ok()) {
      return status;
    }
  }
  return Switch(kSwitchRules);
}

absl::Status HostNetwork::Remove() const {
  // The machine's end first, and by itself: what the deletion of a namespace takes with it goes a
  // moment later, and the name may be wanted again at once.
  std::string batch;
  if (fs::exists("/sys/class/net/" + InterfaceName())) {
    batch += fmt::format("link del {}\n", InterfaceName());
  }
  for (const std::string& name : NamespacesOf(number_))
    batch += fmt::format("netns del {}\n", name);
  if (batch.empty()) return absl::OkStatus();
  return Ip({"-force"}, batch);
}

absl::Status HostNetwork::Switch(const std::string& nft_commands) const {
  return Explain(
      RunTool({"ip", "netns", "exec", NamespaceName(kSwitch), "nft", "-f", "-"}, nft_commands)
          .status());
}

absl::Status HostNetwork::Cut(const std::vector<HostPath>& paths) const {
  std::string commands;
  for (const HostPath& path : paths) {
    commands +=
        fmt::format("add element bridge baton cuts {{ \"{}\" . \"{}\" }}\n", path.from, path.to);
  }
  return Switch(commands);
}

absl::Status HostNetwork::Heal(const std::vector<HostPath>& paths) const {
  std::string commands;
  for (const HostPath& path : paths) {
    const std::string element =
        fmt::format("element bridge baton cuts {{ \"{}\" . \"{}\" }}\n", path.from, path.to);
    commands += "add " + element + "delete " + element;  // deleting what is not there is an error
  }
  return Switch(commands);
}

absl::Status HostNetwork::Lose(int percent) const {
  return Switch(
      fmt::format("flush chain bridge baton loss\n"
                  "add rule bridge baton loss meta protocol ip numgen random mod 100 < {} drop\n",
                  percent));
}

absl::Status HostNetwork::HealAll() const {
  return Switch("flush set bridge baton cuts\nflush chain bridge baton loss\n");
}

std::string HostNetwork::Prefix() const {
  const uint32_t network = NetworkOf(number_);
  return fmt::format("{}.{}.{}.", network >> 24, (network >> 16) & 0xff, (network >> 8) & 0xff);
}

std::string HostNetwork::Address(size_t i) const {
  return Prefix() + std::to_string(kFirstHost + i);
}

std::string HostNetwork::NamespaceName(const std::string& host) const {
  return fmt::format("baton-{}-{}", number_, host);
}

std::string HostNetwork::NamespaceFile(const std::string& host) const {
  return fmt::format("{}/{}", kNamespaces, NamespaceName(host));
}

std::string HostNetwork::InterfaceName() const { return InterfaceOf(number_); }

bool HostNetwork::Exists() const { return !NamespacesOf(number_).empty(); }

}  // namespace baton
