#include <utility>

#include "base/digest.h"
#include "base/status.h"
#include "store/blob_store.h"

namespace baton {
namespace {

class LocalBlobStore final : public BlobStore {
 public:
  explicit LocalBlobStore(KvEnginePtr engine) : engine_(std::move(engine)) {}

  // No callback below owns the engine: it would end on the engine's own thread.

  void Put(BlobKind kind, std::string bytes, PutCallback callback) override {
    std::string digest = Sha256Hex(bytes);
    std::vector<KvWrite> writes;
    writes.push_back({std::string(ToString(kind)), digest, std::move(bytes)});
    engine_->Write(std::move(writes), [digest = std::move(digest), callback = std::move(callback)](
                                          absl::Status status) mutable {
      if (!status.ok()) return callback(std::move(status));
      callback(std::move(digest));
    });
  }

  void Get(BlobKind kind, std::string digest, GetCallback callback) override {
    engine_->Get(
        std::string(ToString(kind)), digest,
        [kind, digest,
         callback = std::move(callback)](absl::StatusOr<std::optional<std::string>> found) mutable {
          if (!found.ok()) return callback(found.status());
          if (!found->has_value()) return callback(NotFound("no {} {}", ToString(kind), digest));
          if (Sha256Hex(**found) != digest) {
            return callback(DataLoss("the copy of {} {} is corrupt", ToString(kind), digest));
          }
          callback(**std::move(found));
        });
  }

 private:
  const KvEnginePtr engine_;
};

}  // namespace

std::string_view ToString(BlobKind kind) {
  switch (kind) {
    case BlobKind::kJobGraph:
      return "job-graph";
    case BlobKind::kArchivedExecution:
      return "archived-execution";
  }
  return "";
}

std::vector<std::string> BlobFamilies() {
  return {std::string(ToString(BlobKind::kJobGraph)),
          std::string(ToString(BlobKind::kArchivedExecution))};
}

std::optional<BlobKind> ParseBlobKind(std::string_view name) {
  for (const BlobKind kind : {BlobKind::kJobGraph, BlobKind::kArchivedExecution}) {
    if (name == ToString(kind)) return kind;
  }
  return std::nullopt;
}

BlobStorePtr NewLocalBlobStore(KvEnginePtr engine) {
  return std::make_shared<LocalBlobStore>(std::move(engine));
}

}  // namespace baton
