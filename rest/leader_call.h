// One question that only the leader can answer, in both of its forms: asked of the Dispatcher of
// this process, or sent to another replica.

#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "rest/http.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

struct LeaderCall {
  using Done = absl::AnyInvocable<void(absl::StatusOr<HttpResponse>)>;

  // Whether the question may be asked again when it is not known what became of it.
  enum class Repeat { kSafe, kUnsafe };
  // Where it came from: what another replica forwarded is neither forwarded again nor held here,
  // because that replica holds it.
  enum class Origin { kClient, kReplica };

  // Asks the leading Dispatcher; may be called again, of another Dispatcher, after a failure.
  // `done` may be called from any thread.
  std::function<void(const DispatcherGatewayPtr&, Done done)> ask;
  HttpRequest forward;
  Repeat repeat = Repeat::kSafe;
  Origin origin = Origin::kClient;
  // Go into the answer whatever it is.
  std::vector<std::pair<std::string, std::string>> answer_headers;

  size_t Bytes() const { return forward.target.size() + forward.body.size(); }
};

}  // namespace baton
