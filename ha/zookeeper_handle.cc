#include "ha/zookeeper_handle.h"

#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/status.h"
#include "ha/zookeeper_log.h"

namespace baton::zookeeper {
namespace {

NodeStat ToNodeStat(const Stat* stat) {
  if (stat == nullptr) return {};
  return {stat->version, stat->ephemeralOwner, stat->czxid};
}

// What an answer with code `rc` says. A lost connection may come before or after the effect.
absl::Status ToStatus(int rc) {
  switch (rc) {
    case ZOK:
      return absl::OkStatus();
    case ZNONODE:
      return NotFound("{}", zerror(rc));
    case ZNODEEXISTS:
      return AlreadyExists("{}", zerror(rc));
    case ZBADVERSION:
    case ZNOTEMPTY:
    case ZNOCHILDRENFOREPHEMERALS:
      return FailedPrecondition("{}", zerror(rc));
    case ZBADARGUMENTS:
    case ZINVALIDACL:
      return InvalidArgument("{}", zerror(rc));
    case ZSESSIONEXPIRED:
    case ZCLOSING:
    case ZAUTHFAILED:
      return Aborted("{}", zerror(rc));
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONMOVED:
    case ZNEWCONFIGNOQUORUM:
      return Unknown("{}", zerror(rc));
    default:
      return Internal("zookeeper answered {} ({})", zerror(rc), rc);
  }
}

// What a call that was not accepted says: nothing was sent.
absl::Status ToCallStatus(int rc) {
  switch (rc) {
    case ZOK:
      return absl::OkStatus();
    case ZBADARGUMENTS:
      return InvalidArgument("{}", zerror(rc));
    default:
      return Unavailable("not sent: {}", zerror(rc));
  }
}

SessionState ToSessionState(int state) {
  if (state == ZOO_CONNECTED_STATE) return SessionState::kConnected;
  const bool is_over = state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE;
  return is_over ? SessionState::kExpired : SessionState::kConnecting;
}

// The op that made a multi fail: those before it say OK, those after it "runtime inconsistency".
std::optional<size_t> FailedOp(const std::vector<zoo_op_result_t>& results) {
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].err != ZOK && results[i].err != ZRUNTIMEINCONSISTENCY) return i;
  }
  return std::nullopt;
}

zoo_op_t ToZooOp(const CoordinationOp& op, Stat* stat) {
  zoo_op_t out{};
  const char* path = op.path.c_str();
  const int size = static_cast<int>(op.data.size());
  switch (op.type) {
    case CoordinationOp::Type::kCheck:
      zoo_check_op_init(&out, path, op.version);
      break;
    case CoordinationOp::Type::kCreate:
      zoo_create_op_init(&out, path, op.data.data(), size, &ZOO_OPEN_ACL_UNSAFE,
                         op.kind == NodeKind::kEphemeral ? ZOO_EPHEMERAL : ZOO_PERSISTENT, nullptr,
                         0);
      break;
    case CoordinationOp::Type::kSet:
      zoo_set_op_init(&out, path, op.data.data(), size, op.version, stat);
      break;
    case CoordinationOp::Type::kDelete:
      zoo_delete_op_init(&out, path, op.version);
      break;
  }
  return out;
}

}  // namespace

struct Handle::Impl {
  // Constant once Open has returned; the C client's threads read all but `zh`.
  HandleOptions options;
  zhandle_t* zh = nullptr;

  // On the executor only. An entry stays where it is until its call was answered or the handle is
  // closed: the C client holds a pointer to it.
  std::unordered_map<uint64_t, std::unique_ptr<CallContext>> calls;

  CallContext* NewCall(uint64_t token);
  absl::Status Accepted(int rc, uint64_t token);

  // Called by the C client, on its completion thread.
  static void OnSessionOrWatch(zhandle_t* zh, int type, int state, const char* path, void* context);
  static void OnStat(int rc, const Stat* stat, const void* data);
  static void OnData(int rc, const char* value, int size, const Stat* stat, const void* data);
  static void OnStrings(int rc, const String_vector* strings, const void* data);
  static void OnString(int rc, const char* value, const void* data);
  static void OnMulti(int rc, const void* data);
};

struct Handle::CallContext {
  Impl* impl;
  uint64_t token;
  // A multi's answer is written here by the C client.
  std::vector<zoo_op_result_t> results;
  std::vector<Stat> stats;

  void Reply(zookeeper::Reply reply) const {
    const HandleOptions& options = impl->options;
    options.gate->Post([listener = options.listener, generation = options.generation, token = token,
                        reply = std::move(reply)]() mutable {
      if (auto alive = listener.lock()) alive->OnReply(generation, token, std::move(reply));
    });
  }
  static const CallContext& From(const void* data) {
    return *static_cast<const CallContext*>(data);
  }
};

// ---- On the C client's threads

void Handle::Impl::OnSessionOrWatch(zhandle_t* zh, int type, int state, const char*,
                                    void* context) {
  const auto& options = static_cast<const Impl*>(zoo_get_context(zh))->options;
  const auto watch_id = reinterpret_cast<uint64_t>(context);
  if (type != ZOO_SESSION_EVENT) {
    options.gate->Post([listener = options.listener, generation = options.generation, watch_id] {
      if (auto alive = listener.lock()) alive->OnWatch(generation, watch_id);
    });
    return;
  }
  // Session events come to every watcher too; only the one given to init has the handle's context.
  if (context != zoo_get_context(zh)) return;
  const SessionEvent event{ToSessionState(state), zoo_client_id(zh)->client_id};
  options.gate->Post([listener = options.listener, generation = options.generation, event] {
    if (auto alive = listener.lock()) alive->OnState(generation, event);
  });
}

void Handle::Impl::OnStat(int rc, const Stat* stat, const void* data) {
  Reply reply{.status = ToStatus(rc)};
  if (rc == ZOK) reply.node.stat = ToNodeStat(stat);
  CallContext::From(data).Reply(std::move(reply));
}

void Handle::Impl::OnData(int rc, const char* value, int size, const Stat* stat, const void* data) {
  Reply reply{.status = ToStatus(rc)};
  if (rc == ZOK) {
    // A node may have no data at all: null, -1.
    if (value != nullptr && size > 0) reply.node.data.assign(value, static_cast<size_t>(size));
    reply.node.stat = ToNodeStat(stat);
  }
  CallContext::From(data).Reply(std::move(reply));
}

void Handle::Impl::OnStrings(int rc, const String_vector* strings, const void* data) {
  Reply reply{.status = ToStatus(rc)};
  if (rc == ZOK && strings != nullptr) {
    reply.children.assign(strings->data, strings->data + strings->count);
    std::sort(reply.children.begin(), reply.children.end());
  }
  CallContext::From(data).Reply(std::move(reply));
}

void Handle::Impl::OnString(int rc, const char*, const void* data) {
  CallContext::From(data).Reply({.status = ToStatus(rc)});
}

void Handle::Impl::OnMulti(int rc, const void* data) {
  const CallContext& call = CallContext::From(data);
  Reply reply{.status = ToStatus(rc)};
  if (rc == ZOK && call.stats.size() == 1) reply.node.stat = ToNodeStat(&call.stats.front());
  const bool was_refused =
      rc != ZOK && !absl::IsUnknown(reply.status) && !absl::IsAborted(reply.status);
  if (was_refused) reply.failed_op = FailedOp(call.results);
  if (reply.failed_op) reply.status = ToStatus(call.results[*reply.failed_op].err);
  call.Reply(std::move(reply));
}

// ---- On the executor

Handle::CallContext* Handle::Impl::NewCall(uint64_t token) {
  auto& call = calls[token];
  call = std::make_unique<CallContext>(CallContext{this, token, {}, {}});
  return call.get();
}

absl::Status Handle::Impl::Accepted(int rc, uint64_t token) {
  if (rc != ZOK) calls.erase(token);
  return ToCallStatus(rc);
}

absl::Status Handle::Exists(uint64_t token, const std::string& path, uint64_t watch_id) {
  const watcher_fn watcher = watch_id == 0 ? nullptr : &Impl::OnSessionOrWatch;
  return impl_->Accepted(
      zoo_awexists(impl_->zh, path.c_str(), watcher, reinterpret_cast<void*>(watch_id),
                   &Impl::OnStat, impl_->NewCall(token)),
      token);
}

absl::Status Handle::Get(uint64_t token, const std::string& path) {
  return impl_->Accepted(
      zoo_awget(impl_->zh, path.c_str(), nullptr, nullptr, &Impl::OnData, impl_->NewCall(token)),
      token);
}

absl::Status Handle::Children(uint64_t token, const std::string& path, uint64_t watch_id) {
  const watcher_fn watcher = watch_id == 0 ? nullptr : &Impl::OnSessionOrWatch;
  return impl_->Accepted(
      zoo_awget_children(impl_->zh, path.c_str(), watcher, reinterpret_cast<void*>(watch_id),
                         &Impl::OnStrings, impl_->NewCall(token)),
      token);
}

absl::Status Handle::Multi(uint64_t token, std::vector<CoordinationOp> ops) {
  CallContext* call = impl_->NewCall(token);
  call->results.resize(ops.size());
  call->stats.resize(ops.size());
  std::vector<zoo_op_t> zoo_ops;
  zoo_ops.reserve(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) zoo_ops.push_back(ToZooOp(ops[i], &call->stats[i]));
  // The ops are serialised before the call returns.
  return impl_->Accepted(zoo_amulti(impl_->zh, static_cast<int>(ops.size()), zoo_ops.data(),
                                    call->results.data(), &Impl::OnMulti, call),
                         token);
}

absl::Status Handle::Sync(uint64_t token, const std::string& path) {
  return impl_->Accepted(zoo_async(impl_->zh, path.c_str(), &Impl::OnString, impl_->NewCall(token)),
                         token);
}

void Handle::Forget(uint64_t token) { impl_->calls.erase(token); }

// ---- Opening and closing

Handle::Handle(HandleOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}

absl::StatusOr<std::unique_ptr<Handle>> Handle::Open(HandleOptions options) {
  zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
  std::unique_ptr<Handle> handle(new Handle(std::move(options)));
  Impl* impl = handle->impl_.get();
  impl->zh = zookeeper_init2(ToClientQuorum(impl->options.quorum).c_str(), &Impl::OnSessionOrWatch,
                             static_cast<int>(ToMillis(impl->options.session_timeout)), nullptr,
                             impl, 0, &LogFromClient);
  if (impl->zh != nullptr) {
    // Names are looked up anew when the connection is lost. The default is with every event of the
    // socket, on the thread that sends the pings: an outage of DNS would end a healthy session.
    zoo_set_servers_resolution_delay(impl->zh, -1);
    return handle;
  }
  return Unavailable("cannot open {}: {}", impl->options.quorum, std::strerror(errno));
}

Handle::~Handle() {
  if (impl_->zh != nullptr) zookeeper_close(impl_->zh);
}

std::string ToClientQuorum(std::string quorum) {
  std::erase_if(quorum, [](char c) { return c == '[' || c == ']'; });
  return quorum;
}

}  // namespace baton::zookeeper
