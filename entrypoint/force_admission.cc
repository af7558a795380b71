#include "entrypoint/force_admission.h"

#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/asio_executor.h"
#include "base/config_options.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/replica_config.h"
#include "ha/forced_admission.h"
#include "ha/zookeeper_client.h"

namespace baton {
namespace {

constexpr Duration kDeadline = std::chrono::seconds(30);

using Result = absl::StatusOr<pb::MemberList>;

// Where the replica of this configuration will be; kInvalidArgument: only its start can tell.
absl::StatusOr<pb::Member> MemberOf(const ReplicaSettings& settings) {
  pb::Member member;
  member.set_replica_id(settings.id.value());
  member.set_rpc_address(settings.rpc_advertised_address.empty() ? settings.rpc_bind_address
                                                                 : settings.rpc_advertised_address);
  if (member.rpc_address().ends_with(":0")) {
    return InvalidArgument("rpc.port is 0: a member needs an address that lasts");
  }
  return member;
}

Result Admit(const Config& config, const CoordinationPaths& paths, const pb::Member& member) {
  ThreadPool pool(1);
  const ExecutorPtr executor = pool.NewExecutor();
  auto client = NewZooKeeperClient({config.Get(options::kZooKeeperQuorum),
                                    config.Get(options::kZooKeeperSessionTimeout), executor});
  auto promise = std::make_shared<std::promise<Result>>();
  auto begun = std::make_shared<bool>(false);
  std::future<Result> future = promise->get_future();
  executor->Post([=] {
    client->Start([=](SessionEvent event) {
      if (event.state != SessionState::kConnected || std::exchange(*begun, true)) return;
      ForceAdmission(client, paths, member, [promise](Result r) { promise->set_value(r); });
    });
  });
  Result result =
      Unavailable("ZooKeeper at {} does not answer", config.Get(options::kZooKeeperQuorum));
  if (future.wait_for(kDeadline) == std::future_status::ready) result = future.get();
  std::promise<void> closed;
  executor->Post([&] {
    client->Close();
    closed.set_value();
  });
  closed.get_future().wait();
  return result;
}

}  // namespace

int RunForcedAdmission(const Config& config) {
  if (config.Get(options::kHaType) != "zookeeper") {
    std::fprintf(stderr,
                 "baton-dispatcher: not admitted: without ZooKeeper there is one replica\n");
    return 1;
  }
  const ReplicaSettings settings = ReplicaSettingsFrom(config);
  const auto member = MemberOf(settings);
  const Result list =
      member.ok()
          ? Admit(config, CoordinationPaths(settings.zookeeper_root, settings.cluster_id), *member)
          : Result(member.status());
  if (!list.ok()) {
    std::fprintf(stderr, "baton-dispatcher: not admitted: %s\n", Message(list.status()).c_str());
    return 1;
  }
  log::Warning("an operator forced the admission replica={} rpc={} members={} members_version={}",
               member->replica_id(), member->rpc_address(), list->members_size(), list->version());
  std::printf("%s at %s is a member; start it if it does not run\n", member->replica_id().c_str(),
              member->rpc_address().c_str());
  return 0;
}

}  // namespace baton
