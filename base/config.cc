#include "base/config.h"

#include <arpa/inet.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/config_options.h"
#include "base/config_values.h"
#include "base/status.h"
#include "base/suggest.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace baton {
namespace {

constexpr int kMaxDepth = 16;

const OptionSpec* FindOption(std::string_view key) {
  for (const OptionSpec* option : options::All()) {
    if (option->key == key) return option;
  }
  return nullptr;
}

std::string UnknownKey(std::string_view key) {
  std::vector<std::string_view> keys;
  for (const OptionSpec* option : options::All()) keys.push_back(option->key);
  return fmt::format("unknown key {}{}", Quoted(key), DidYouMean(key, keys));
}

// One YAML document flattened: nested maps and dotted keys mean the same.
class YamlReader {
 public:
  using Values = std::map<std::string, std::string, std::less<>>;

  YamlReader(std::string name, Values* values, std::vector<std::string>* problems)
      : name_(std::move(name)), values_(values), problems_(problems) {}

  void Read(const std::string& yaml) {
    try {
      const std::vector<YAML::Node> documents = YAML::LoadAll(yaml);
      if (documents.size() > 1) Problem(documents[1].Mark().line, "a second document; one is read");
      if (!documents.empty() && !documents[0].IsNull())
        ReadNode("", documents[0], documents[0].Mark().line, 0);
    } catch (const YAML::Exception& e) {
      problems_->push_back(fmt::format("{}:{}: {}", name_, e.mark.line + 1, e.msg));
    }
  }

 private:
  // `line`: of the key; a value may stand on a later one, and a missing value anywhere.
  void ReadNode(const std::string& key, const YAML::Node& node, int line, int depth) {
    if (node.IsMap() && depth < kMaxDepth) {
      for (const auto& member : node) {
        if (!member.first.IsScalar()) {
          Problem(member.first.Mark().line, "a key must be a plain text");
          continue;
        }
        const std::string& part = member.first.Scalar();
        ReadNode(key.empty() ? part : key + "." + part, member.second, member.first.Mark().line,
                 depth + 1);
      }
    } else if (key.empty()) {
      Problem(line, "must be a map of keys to values");
    } else {
      ReadValue(key, node, line);
    }
  }

  void ReadValue(const std::string& key, const YAML::Node& node, int line) {
    const OptionSpec* option = FindOption(key);
    if (option == nullptr) return Problem(line, UnknownKey(key));
    if (node.IsNull()) return Problem(line, key + ": has no value; write \"\" for an empty text");
    std::string text;
    if (node.IsSequence() && option->type == OptionType::kText) {
      for (const auto& element : node) {
        if (!element.IsScalar()) return Problem(line, key + ": must be a list of texts");
        text += (text.empty() ? "" : ",") + element.Scalar();
      }
    } else if (node.IsScalar()) {
      text = node.Scalar();
    } else {
      return Problem(line, key + ": must be a single value");
    }
    const std::string problem = ValueProblem(*option, text);
    if (!problem.empty()) return Problem(line, key + ": " + problem);
    if (!values_->emplace(key, text).second) Problem(line, key + ": is set twice");
  }

  void Problem(int line, const std::string& text) {
    problems_->push_back(fmt::format("{}:{}: {}", name_, line + 1, text));
  }

  const std::string name_;
  Values* const values_;
  std::vector<std::string>* const problems_;
};

void ReadOverride(const std::string& override, YamlReader::Values* values,
                  std::vector<std::string>* problems) {
  const auto equals = override.find('=');
  const std::string key = override.substr(0, equals);
  const OptionSpec* option = FindOption(key);
  if (equals == std::string::npos) {
    problems->push_back(fmt::format("-D {}: must be key=value", Quoted(override)));
  } else if (option == nullptr) {
    problems->push_back(fmt::format("-D: {}", UnknownKey(key)));
  } else {
    const std::string text = override.substr(equals + 1);
    const std::string problem = ValueProblem(*option, text);
    if (!problem.empty()) problems->push_back(fmt::format("-D {}: {}", key, problem));
    if (problem.empty()) (*values)[key] = text;
  }
}

// Not by prefix: "127.example.com" is a name, which may mean any machine.
bool IsLoopback(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return address == "localhost" || address == "::1";
}

bool IsWildcard(std::string_view address) { return address == "0.0.0.0" || address == "::"; }

// Of "host:port" or "[host]:port".
std::string HostOf(std::string_view address) {
  std::string_view host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

}  // namespace

absl::StatusOr<Config> Config::Load(const std::string& file,
                                    const std::vector<std::string>& overrides) {
  if (file.empty()) return Parse("", "", overrides);
  std::ifstream stream(file);
  std::stringstream text;
  if (!stream || !(text << stream.rdbuf() || stream.peek() == EOF)) {
    return NotFound("cannot read the configuration file {}", file);
  }
  return Parse(text.str(), file, overrides);
}

absl::StatusOr<Config> Config::Parse(const std::string& yaml, const std::string& name,
                                     const std::vector<std::string>& overrides) {
  Config config;
  std::vector<std::string> problems;
  YamlReader(name, &config.values_, &problems).Read(yaml);
  for (const std::string& override : overrides) {
    ReadOverride(override, &config.values_, &problems);
  }
  // Values that are wrong alone would only be reported again.
  if (problems.empty()) config.CheckTogether(&problems);
  if (!problems.empty()) return InvalidArgument("{}", fmt::join(problems, "\n"));
  return config;
}

void Config::CheckTogether(std::vector<std::string>* problems) const {
  using namespace options;  // NOLINT(google-build-using-namespace): all of it is about them
  const bool zookeeper = Get(kHaType) == "zookeeper";
  if (zookeeper && SplitList(Get(kZooKeeperQuorum)).empty()) {
    problems->push_back(
        fmt::format("{}: is needed with {} zookeeper", kZooKeeperQuorum.key, kHaType.key));
  }
  const std::string root = Get(kZooKeeperRoot);
  if (!root.starts_with('/') || root.ends_with('/')) {
    problems->push_back(fmt::format("{}: must begin with / and not end with it, not {}",
                                    kZooKeeperRoot.key, Quoted(root)));
  }
  for (const auto* option : {&kClusterId, &kReplicaId, &kTaskManagerId}) {
    const std::string value = Get(*option);  // a part of a znode's path
    if (value.find('/') != value.npos || value == "." || value == "..") {
      problems->push_back(fmt::format("{}: must be a name without /", option->key));
    }
  }
  if (Get(kClusterId).empty()) problems->push_back(fmt::format("{}: is empty", kClusterId.key));
  const Duration least_lease = Get(kZooKeeperSessionTimeout) * 3 / 2 + std::chrono::seconds(4);
  if (Get(kLease) < least_lease) {
    problems->push_back(fmt::format("{}: must be at least 1.5 session timeouts + 4 s = {}, not {}",
                                    kLease.key, FormatDuration(least_lease),
                                    FormatDuration(Get(kLease))));
  }
  if (Get(kHeartbeatInterval) * 4 > Get(kLease)) {
    problems->push_back(
        fmt::format("{}: must be at most a quarter of {}", kHeartbeatInterval.key, kLease.key));
  }
  if (Get(kMaxSubtasks) < Get(kMaxParallelism)) {
    problems->push_back(
        fmt::format("{}: must be at least {}", kMaxSubtasks.key, kMaxParallelism.key));
  }
  CheckAuthenticated(problems);
  CheckReachable(problems);
}

// Whoever reaches a port of REST or, without a secret, of RPC may run commands on the workers; and
// a worker obeys whoever answers at its dispatchers' addresses.
void Config::CheckAuthenticated(std::vector<std::string>* problems) const {
  using namespace options;  // NOLINT(google-build-using-namespace): it is about them
  if (Get(kAllowUnauthenticated)) return;
  if (!IsLoopback(Get(kRestAddress))) {
    problems->push_back(fmt::format("{}: {} is not loopback, which needs {}: true",
                                    kRestAddress.key, Quoted(Get(kRestAddress)),
                                    kAllowUnauthenticated.key));
  }
  if (!Get(kClusterSecretFile).empty()) return;
  const auto needs_secret = [&](std::string_view key, const std::string& address) {
    problems->push_back(fmt::format("{}: {} is not loopback, which needs {} (or {}: true)", key,
                                    Quoted(address), kClusterSecretFile.key,
                                    kAllowUnauthenticated.key));
  };
  if (!IsLoopback(Get(kRpcAddress))) needs_secret(kRpcAddress.key, Get(kRpcAddress));
  for (const std::string& address : SplitList(Get(kDispatchers))) {
    if (!IsLoopback(HostOf(address))) return needs_secret(kDispatchers.key, address);
  }
}

// Others take a refused connection at these addresses for the death of the process behind them, and
// act on it at once. An address that means another machine to them would be refused there while the
// process lives.
void Config::CheckReachable(std::vector<std::string>* problems) const {
  using namespace options;  // NOLINT(google-build-using-namespace): all of it is about them
  const auto advertise = [&](const auto& address, const auto& advertised) {
    if (!IsWildcard(Get(address)) || !Get(advertised).empty()) return;
    problems->push_back(
        fmt::format("{}: {} means every address of this host; say in {} under which "
                    "others reach it",
                    address.key, Quoted(Get(address)), advertised.key));
  };
  advertise(kRestAddress, kRestAdvertisedAddress);
  advertise(kRpcAddress, kRpcAdvertisedAddress);
  const std::string liveness = HostOf(Get(kLivenessAddress));
  const auto dispatchers = SplitList(Get(kDispatchers));
  const bool all_local = std::ranges::all_of(
      dispatchers, [](const std::string& address) { return IsLoopback(HostOf(address)); });
  if (IsWildcard(liveness) || (IsLoopback(liveness) && !all_local)) {
    problems->push_back(
        fmt::format("{}: must be an address under which the dispatchers ({}) reach "
                    "this worker, not {}",
                    kLivenessAddress.key, Get(kDispatchers), Quoted(liveness)));
  }
}

std::string Config::TextOf(const OptionSpec& option) const {
  const auto it = values_.find(option.key);
  return it != values_.end() ? it->second : std::string(option.default_text);
}

std::vector<std::pair<std::string, std::string>> Config::Effective() const {
  std::map<std::string, std::string> all;
  for (const OptionSpec* option : options::All()) {
    all.emplace(std::string(option->key), TextOf(*option));
  }
  return {all.begin(), all.end()};
}

// ParseScalar cannot fail below: what is in values_ was checked, and a test checks the defaults.
template <>
std::string Config::Get(const ConfigOption<std::string>& option) const {
  return TextOf(option);
}
template <>
int64_t Config::Get(const ConfigOption<int64_t>& option) const {
  return *ParseScalar(option.type, TextOf(option));
}
template <>
bool Config::Get(const ConfigOption<bool>& option) const {
  return *ParseScalar(option.type, TextOf(option)) != 0;
}
template <>
Duration Config::Get(const ConfigOption<Duration>& option) const {
  return Duration(*ParseScalar(option.type, TextOf(option)));
}
template <>
ByteSize Config::Get(const ConfigOption<ByteSize>& option) const {
  return ByteSize{static_cast<uint64_t>(*ParseScalar(option.type, TextOf(option)))};
}

int64_t MinCopies(const Config& config) {
  const bool zookeeper = config.Get(options::kHaType) == "zookeeper";
  return zookeeper ? config.Get(options::kStoreMinCopies) : 1;
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const auto first = part.find_first_not_of(' ');
    if (first == part.npos) continue;
    parts.emplace_back(part.substr(first, part.find_last_not_of(' ') - first + 1));
  }
  return parts;
}

}  // namespace baton
