#include <utility>

#include "base/digest.h"
#include "base/status.h"
#include "store/blob_store.h"

namespace baton {
namespace {

// What a later reply needs of its request, without the bytes that came with it.
pb::Envelope AddressOf(const pb::Envelope& request) {
  pb::Envelope address;
  address.set_correlation_id(request.correlation_id());
  return address;
}

void ServePut(const BlobStorePtr& local, const RpcLinkPtr& link, pb::Envelope request) {
  pb::PutBlob& put = *request.mutable_put_blob();
  const auto kind = ParseBlobKind(put.kind());
  if (!kind) return link->ReplyError(request, InvalidArgument("no blob kind '{}'", put.kind()));
  if (Sha256Hex(put.content()) != put.digest()) {
    return link->ReplyError(request, DataLoss("what arrived is not {}", put.digest()));
  }
  local->Put(*kind, std::move(*put.mutable_content()),
             [link, to = AddressOf(request)](absl::StatusOr<std::string> stored) {
               if (!stored.ok()) return link->ReplyError(to, stored.status());
               pb::Envelope reply;
               reply.mutable_put_blob_reply();
               link->Reply(to, std::move(reply));
             });
}

void ServeGet(const BlobStorePtr& local, const RpcLinkPtr& link, pb::Envelope request) {
  const pb::GetBlob& get = request.get_blob();
  const auto kind = ParseBlobKind(get.kind());
  if (!kind) return link->ReplyError(request, InvalidArgument("no blob kind '{}'", get.kind()));
  local->Get(*kind, get.digest(),
             [link, to = AddressOf(request)](absl::StatusOr<std::string> found) {
               const bool missing = found.status().code() == absl::StatusCode::kNotFound;
               if (!found.ok() && !missing) return link->ReplyError(to, found.status());
               pb::Envelope reply;
               reply.mutable_get_blob_reply()->set_found(found.ok());
               if (found.ok()) reply.mutable_get_blob_reply()->set_content(*std::move(found));
               link->Reply(to, std::move(reply));
             });
}

}  // namespace

void ServeBlobs(RequestDesk& desk, BlobStorePtr local) {
  desk.Handle(pb::Envelope::kPutBlob, [local](const RpcLinkPtr& link, pb::Envelope request) {
    ServePut(local, link, std::move(request));
  });
  desk.Handle(pb::Envelope::kGetBlob, [local](const RpcLinkPtr& link, pb::Envelope request) {
    ServeGet(local, link, std::move(request));
  });
}

}  // namespace baton
