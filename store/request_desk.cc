#include "store/request_desk.h"

#include <utility>

#include "base/status.h"

namespace baton {
namespace {

// Of a request that waits, beside its bytes: so that small ones are bounded too.
constexpr size_t kOverhead = 1 << 10;

}  // namespace

void RequestDesk::Handle(RpcServer::Kind kind, RpcServer::Handler handler) {
  server_.Handle(kind, [executor = executor_, waiting = waiting_bytes_,
                        handler = std::make_shared<const RpcServer::Handler>(std::move(handler))](
                           const RpcLinkPtr& link, pb::Envelope request) {
    const size_t bytes = request.ByteSizeLong() + kOverhead;
    if (*waiting + bytes > kMaxWaitingBytes) {
      return link->ReplyError(request, ResourceExhausted("this replica's store is busy: {} bytes "
                                                         "wait",
                                                         waiting->load()));
    }
    *waiting += bytes;
    executor->Post([waiting, bytes, handler, link, request = std::move(request)]() mutable {
      *waiting -= bytes;
      (*handler)(link, std::move(request));
    });
  });
}

}  // namespace baton
