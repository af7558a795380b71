#include "store/local_blob_store.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <utility>

#include "base/deliberate_break.h"
#include "base/digest.h"
#include "base/status.h"
#include "store/bounded_loop.h"

namespace baton {
namespace {

constexpr const char* kStampFamily = "blob-stamp";
constexpr size_t kStampReadsAtOnce = 100;

std::string StampKey(BlobKind kind, const std::string& digest) {
  return std::string(ToString(kind)) + "/" + digest;
}

// "<wall clock in ms>-<count>": no two of one process are equal.
std::string NewStamp(WallMillis now, uint64_t count) { return fmt::format("{}-{}", now, count); }

WallMillis StampedAt(const std::string& stamp) {
  WallMillis at = 0;
  std::from_chars(stamp.data(), stamp.data() + stamp.size(), at);
  return at;
}

// A damaged stamp may say anything, also what has no room as a Duration.
Duration Untouched(WallMillis now, const std::string& stamp) {
  constexpr WallMillis kLongest = WallMillis{10} * 365 * 24 * 3'600'000;
  const WallMillis at = std::max<WallMillis>(StampedAt(stamp), 0);
  return std::chrono::milliseconds(
      std::clamp<WallMillis>(std::max<WallMillis>(now, 0) - at, 0, kLongest));
}

// Which blobs are being stored and collected at this moment. Shared with the callbacks of the
// engine, which must not own the engine: it would end on its own thread.
class Traffic {
 public:
  // `queue` hands the write to the engine: inside the lock, so that the engine's order is ours.
  template <class F>
  void BeginPut(const std::string& key, F queue) {
    std::lock_guard lock(mutex_);
    ++puts_[key];
    if (auto it = collected_.find(key); it != collected_.end()) it->second = false;
    queue(++count_);
  }
  void EndPut(const std::string& key) {
    std::lock_guard lock(mutex_);
    auto it = puts_.find(key);
    if (--it->second == 0) puts_.erase(it);
  }

  // False: it is being stored, or collected by somebody else.
  bool BeginCollect(const std::string& key) {
    std::lock_guard lock(mutex_);
    return !puts_.contains(key) && collected_.try_emplace(key, true).second;
  }
  // Queues the deletion unless a Put began since BeginCollect.
  template <class F>
  bool EndCollect(const std::string& key, F queue) {
    std::lock_guard lock(mutex_);
    const bool untouched = collected_.extract(key).mapped();
    if (untouched) queue();
    return untouched;
  }

 private:
  std::mutex mutex_;
  // Guarded by mutex_:
  uint64_t count_ = 0;
  std::map<std::string, size_t> puts_;     // under way
  std::map<std::string, bool> collected_;  // under way; false: stored again meanwhile
};

class KvLocalBlobStore final : public LocalBlobStore,
                               public std::enable_shared_from_this<KvLocalBlobStore> {
 public:
  KvLocalBlobStore(KvEnginePtr engine, ExecutorPtr executor)
      : engine_(std::move(engine)), executor_(std::move(executor)) {}

  void Put(BlobKind kind, std::string bytes, PutCallback callback) override {
    std::string digest = Sha256Hex(bytes);
    const std::string key = StampKey(kind, digest);
    traffic_->BeginPut(key, [&](uint64_t count) {
      std::vector<KvWrite> writes;
      writes.push_back({std::string(ToString(kind)), digest, std::move(bytes)});
      writes.push_back({kStampFamily, key, NewStamp(executor_->WallNow(), count)});
      engine_->Write(std::move(writes),
                     [traffic = traffic_, key, digest = std::move(digest),
                      callback = std::move(callback)](absl::Status status) mutable {
                       traffic->EndPut(key);
                       if (!status.ok()) return callback(std::move(status));
                       callback(std::move(digest));
                     });
    });
  }

  void Get(BlobKind kind, std::string digest, GetCallback callback) override {
    engine_->Get(
        std::string(ToString(kind)), digest,
        [kind, digest,
         callback = std::move(callback)](absl::StatusOr<std::optional<std::string>> found) mutable {
          if (!found.ok()) return callback(found.status());
          if (!found->has_value()) return callback(NotFound("no {} {}", ToString(kind), digest));
          if (Sha256Hex(**found) != digest && !Broken(Break::kDigestsUnverified)) {
            return callback(DataLoss("the copy of {} {} is corrupt", ToString(kind), digest));
          }
          callback(**std::move(found));
        });
  }

  void Digests(BlobKind kind, DigestsCallback callback) override {
    engine_->Keys(std::string(ToString(kind)), "", std::move(callback));
  }

  void List(BlobKind kind, std::string after, size_t limit, PageCallback callback) override {
    Digests(kind,
            BindTo(executor_,
                   IfAlive(weak_from_this(), [kind, after, limit, callback = std::move(callback)](
                                                 KvLocalBlobStore& self, auto digests) mutable {
                     if (!digests.ok()) return callback(digests.status());
                     auto from = std::upper_bound(digests->begin(), digests->end(), after);
                     digests->erase(digests->begin(), from);
                     if (digests->size() > limit) digests->resize(limit);
                     self.ReadStamps(kind, *digests, std::move(callback));
                   })));
  }

  void Collect(BlobKind kind, std::string digest, std::string stamp,
               StatusCallback callback) override {
    const std::string key = StampKey(kind, digest);
    if (!traffic_->BeginCollect(key)) return callback(StoredAgain(digest));
    engine_->Get(kStampFamily, key,
                 BindTo(executor_, [weak = weak_from_this(), traffic = traffic_, kind, digest,
                                    stamp, key, callback = std::move(callback)](
                                       absl::StatusOr<std::optional<std::string>> found) mutable {
                   auto self = weak.lock();
                   const bool same = self && found.ok() && *found == stamp;
                   if (!same) {
                     traffic->EndCollect(key, [] {});
                     return callback(found.ok() ? StoredAgain(digest) : found.status());
                   }
                   self->Delete(kind, digest, std::move(callback));
                 }));
  }

 private:
  struct Page {
    std::vector<StoredBlob> blobs;
    PageCallback callback;
  };

  static absl::Status StoredAgain(const std::string& digest) {
    return FailedPrecondition("{} was stored again", digest);
  }

  void ReadStamps(BlobKind kind, const std::vector<std::string>& digests, PageCallback callback) {
    auto page = std::make_shared<Page>();
    page->callback = std::move(callback);
    for (const std::string& digest : digests) page->blobs.push_back({digest, "", {}});
    RunBounded(
        digests.size(), kStampReadsAtOnce,
        [weak = weak_from_this(), kind, page](size_t i, StepDone done) {
          if (auto self = weak.lock()) return self->ReadStamp(kind, page, i, std::move(done));
          done(Aborted("the store is closed"));
        },
        [page](const absl::Status& status) {
          if (!status.ok()) return page->callback(status);
          page->callback(std::move(page->blobs));
        });
  }

  void ReadStamp(BlobKind kind, std::shared_ptr<Page> page, size_t i, StepDone done) {
    const std::string key = StampKey(kind, page->blobs[i].digest);
    engine_->Get(kStampFamily, key,
                 BindTo(executor_,
                        IfAlive(weak_from_this(),
                                [page, i, key, done = std::move(done)](
                                    KvLocalBlobStore& self,
                                    absl::StatusOr<std::optional<std::string>> found) mutable {
                                  if (!found.ok()) return done(found.status());
                                  if (!found->has_value())
                                    return self.WriteStamp(key, std::move(done));
                                  StoredBlob& blob = page->blobs[i];
                                  blob.stamp = **std::move(found);
                                  blob.untouched = Untouched(self.executor_->WallNow(), blob.stamp);
                                  done(absl::OkStatus());
                                })));
  }

  // Its page says "no stamp, touched now": nobody can collect it by that.
  void WriteStamp(const std::string& key, StepDone done) {
    traffic_->BeginPut(key, [&](uint64_t count) {
      std::vector<KvWrite> writes;
      writes.push_back({kStampFamily, key, NewStamp(executor_->WallNow(), count)});
      engine_->Write(std::move(writes), [traffic = traffic_, key,
                                         done = std::move(done)](absl::Status status) mutable {
        traffic->EndPut(key);
        done(std::move(status));
      });
    });
  }

  void Delete(BlobKind kind, const std::string& digest, StatusCallback callback) {
    const std::string key = StampKey(kind, digest);
    auto shared = std::make_shared<StatusCallback>(std::move(callback));
    const bool queued = traffic_->EndCollect(key, [&] {
      std::vector<KvWrite> writes;
      writes.push_back({std::string(ToString(kind)), digest, std::nullopt});
      writes.push_back({kStampFamily, key, std::nullopt});
      engine_->Write(std::move(writes), BindTo(executor_, [shared](absl::Status status) {
                       (*shared)(std::move(status));
                     }));
    });
    if (!queued) (*shared)(StoredAgain(digest));
  }

  const KvEnginePtr engine_;
  const ExecutorPtr executor_;
  const std::shared_ptr<Traffic> traffic_ = std::make_shared<Traffic>();
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
          std::string(ToString(BlobKind::kArchivedExecution)), kStampFamily};
}

std::optional<BlobKind> ParseBlobKind(std::string_view name) {
  for (const BlobKind kind : kBlobKinds) {
    if (name == ToString(kind)) return kind;
  }
  return std::nullopt;
}

LocalBlobStorePtr NewLocalBlobStore(KvEnginePtr engine, ExecutorPtr executor) {
  return std::make_shared<KvLocalBlobStore>(std::move(engine), std::move(executor));
}

}  // namespace baton
