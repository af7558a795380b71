#include "entrypoint/daemon.h"

#include <google/protobuf/stubs/logging.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "base/config_options.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/version.h"

namespace baton {
namespace {

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

[[noreturn]] void Refuse(const std::string& name, const absl::Status& why) {
  std::fprintf(stderr, "%s: %s\n", name.c_str(), Message(why).c_str());
  std::exit(2);
}

}  // namespace

Config StartDaemon(const std::string& name, const std::string& description, int argc, char** argv,
                   std::span<const DaemonFlag> flags) {
  CLI::App app(description, name);
  std::string file;
  std::vector<std::string> overrides;
  app.add_option("--config", file, "configuration file (YAML)");
  app.add_option("-D", overrides, "key=value, wins over the file; repeatable")
      ->allow_extra_args(false);
  for (const DaemonFlag& flag : flags) app.add_flag(flag.name, *flag.given, flag.description);
  app.set_version_flag("--version", std::string(kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e) == 0 ? 0 : 2);
  }
  auto config = Config::Load(file, overrides);
  if (!config.ok()) Refuse(name, config.status());
  const auto level = log::ParseLevel(config->Get(options::kLogLevel));
  if (!level.ok()) Refuse(name, level.status());
  if (auto status = log::Init(name, config->Get(options::kLogFile), *level); !status.ok()) {
    Refuse(name, status);
  }
  // Protobuf writes a line to stderr for each string that is no UTF-8: a stranger could fill the
  // disk with them. Whoever reads a message says himself what is wrong with it.
  google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string& message) {
        log::Debug("protobuf: {}", message);
      });
  ArmFaultPointsFromEnvironment();
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = EndSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return *std::move(config);
}

absl::StatusOr<ClusterSecretsPtr> LoadClusterSecrets(const Config& config) {
  const std::string file = config.Get(options::kClusterSecretFile);
  if (file.empty()) return ClusterSecretsPtr();
  auto secrets = ClusterSecrets::Load(file);
  if (!secrets.ok()) return At(options::kClusterSecretFile.key, secrets.status());
  return secrets;
}

void RaiseFileLimit(uint64_t needed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return;
  log::Warning("few files may be open limit={} needed={}: connections beyond it will wait",
               limit.rlim_cur, needed);
}

int WaitForSignal() {
  const sigset_t signals = EndSignals();
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

absl::Status WriteReadyFile(const std::string& file, const std::string& content) {
  if (file.empty()) return absl::OkStatus();
  const std::string beside = file + ".new";
  {
    std::ofstream out(beside, std::ios::trunc);
    out << content << '\n';
    if (!out.flush()) return Internal("cannot write {}", beside);
  }
  if (std::rename(beside.c_str(), file.c_str()) != 0) return Internal("cannot write {}", file);
  return absl::OkStatus();
}

}  // namespace baton
