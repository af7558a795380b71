#include "store/blob_collector.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"
#include "store/records.pb.h"

namespace baton {
namespace {

constexpr size_t kBlobsPerPage = 1'000;
constexpr size_t kMaxCandidates = 10'000;  // of one place and kind in one round; the rest later

}  // namespace

void BlobCollector::ArmRound() {
  deps_.executor->PostAfter(
      deps_.options.interval,
      IfAlive(weak_from_this(), [](BlobCollector& self) { self.BeginRound(); }));
}

void BlobCollector::BeginRound() {
  deps_.pins->BeginRound();
  deps_.places(OnExecutor([](BlobCollector& self, std::vector<BlobPlacePtr> places) {
    self.ListPlaces(std::move(places));
  }));
}

void BlobCollector::ListPlaces(std::vector<BlobPlacePtr> places) {
  auto round = std::make_shared<Round>();
  for (const BlobPlacePtr& place : places) {
    for (const BlobKind kind : kBlobKinds) round->listings.push_back({place, kind, {}});
  }
  RunBounded(
      round->listings.size(), 1,
      [weak = weak_from_this(), round](size_t i, StepDone done) {
        auto self = weak.lock();
        if (!self) return done(Aborted("the epoch is over"));
        self->ListPage(round, i, "", std::move(done));
      },
      OnExecutor([round](BlobCollector& self, const absl::Status& status) {
        status.ok() ? self.ReadReferences(round) : self.EndRound(status);
      }));
}

void BlobCollector::ListPage(RoundPtr round, size_t index, std::string after, Step done) {
  const Listing& listing = round->listings[index];
  listing.place->List(
      listing.kind, std::move(after), kBlobsPerPage,
      OnExecutor([round, index, done = std::move(done)](BlobCollector& self, auto page) mutable {
        self.OnPage(std::move(round), index, std::move(page), std::move(done));
      }));
}

void BlobCollector::OnPage(RoundPtr round, size_t index,
                           absl::StatusOr<std::vector<StoredBlob>> page, Step done) {
  Listing& listing = round->listings[index];
  if (!page.ok()) {
    // It is asked again in the next round; the others need not wait for it.
    log::Info("no blobs are collected there place={} error=\"{}\"", listing.place->name(),
              Message(page.status()));
    listing.candidates.clear();
    return done(absl::OkStatus());
  }
  for (const StoredBlob& blob : *page) {
    const bool rested = blob.untouched >= deps_.options.grace || Broken(Break::kCollectsPinned);
    if (!blob.stamp.empty() && rested) {
      listing.candidates.push_back(blob);
    }
  }
  const bool last = page->size() < kBlobsPerPage || listing.candidates.size() >= kMaxCandidates;
  if (last) return done(absl::OkStatus());
  ListPage(std::move(round), index, page->back().digest, std::move(done));
}

void BlobCollector::ReadReferences(RoundPtr round) {
  std::erase_if(round->listings, [](const Listing& listing) { return listing.candidates.empty(); });
  if (round->listings.empty()) return EndRound(absl::OkStatus());
  deps_.fence->client().Sync(
      deps_.fence->paths().base(),
      OnExecutor([round](BlobCollector& self, const absl::Status& status) {
        if (!status.ok()) return self.EndRound(status);
        const auto& paths = self.deps_.fence->paths();
        const std::vector<std::string> folders{paths.jobs(), paths.results()};
        RunBounded(
            folders.size(), 1,
            [weak = self.weak_from_this(), round, folders](size_t i, StepDone done) {
              auto self = weak.lock();
              if (!self) return done(Aborted("the epoch is over"));
              self->ReadFolder(round, folders[i], std::move(done));
            },
            self.OnExecutor([round](BlobCollector& self, const absl::Status& read) {
              read.ok() ? self.ConfirmAndOrder(round) : self.EndRound(read);
            }));
      }));
}

// The buckets are counted after the reading: a folder that was away shows up as one that is not
// whole, or as one that its leader has made again, and then its own jobs are known to us.
void BlobCollector::ReadFolder(RoundPtr round, std::string folder, Step done) {
  ReadRecords(deps_.fence, folder, ReadPace::kInTheBackground,
              OnExecutor([round, folder, done = std::move(done)](BlobCollector& self,
                                                                 auto records) mutable {
                if (!records.ok()) return done(records.status());
                if (auto noted = self.NoteReferences(*round, folder, *records); !noted.ok()) {
                  return done(noted);
                }
                self.deps_.fence->client().Children(
                    folder, nullptr, [folder, done = std::move(done)](auto buckets) mutable {
                      if (!buckets.ok()) return done(buckets.status());
                      for (const std::string& name : BucketNames()) {
                        if (std::find(buckets->begin(), buckets->end(), name) != buckets->end()) {
                          continue;
                        }
                        return done(FailedPrecondition("{} has no folder {}", folder, name));
                      }
                      done(absl::OkStatus());
                    });
              }));
}

absl::Status BlobCollector::NoteReferences(Round& round, const std::string& folder,
                                           const std::vector<StoredRecord>& records) const {
  const bool jobs = folder == deps_.fence->paths().jobs();
  for (const StoredRecord& record : records) {
    pb::JobPointer pointer;
    pb::JobResult result;
    if (jobs ? !pointer.ParseFromString(record.data) : !result.ParseFromString(record.data)) {
      return DataLoss("the record of job {} is unreadable: it may refer to anything",
                      record.id.ToString());
    }
    // An empty node parses too; a readable pointer always names a graph.
    if (jobs && pointer.graph_digest().empty()) {
      return DataLoss("the pointer of job {} names no graph", record.id.ToString());
    }
    if (jobs) {
      round.referenced.emplace(BlobKind::kJobGraph, pointer.graph_digest());
    } else {
      round.referenced.emplace(BlobKind::kArchivedExecution, result.archive_digest());
    }
  }
  return absl::OkStatus();
}

void BlobCollector::ConfirmAndOrder(RoundPtr round) {
  deps_.fence->Confirm(OnExecutor([round](BlobCollector& self, const absl::Status& status) {
    status.ok() ? self.Order(round) : self.EndRound(status);
  }));
}

void BlobCollector::Order(RoundPtr round) {
  for (const std::string& digest : deps_.graphs_of_own_jobs()) {
    round->referenced.emplace(BlobKind::kJobGraph, digest);
  }
  auto pinned = deps_.pins->EndRound();
  if (!Broken(Break::kCollectsPinned)) round->referenced.merge(pinned);
  auto collected = std::make_shared<std::atomic<size_t>>(0);
  RunBounded(
      round->listings.size(), 1,
      [round, collected, epoch = deps_.fence->epoch()](size_t i, StepDone done) {
        Listing& listing = round->listings[i];
        std::erase_if(listing.candidates, [&](const StoredBlob& blob) {
          return round->referenced.contains({listing.kind, blob.digest});
        });
        if (listing.candidates.empty()) return done(absl::OkStatus());
        listing.place->Collect(
            epoch, listing.kind, std::move(listing.candidates),
            [collected, place = listing.place, done = std::move(done)](auto count) mutable {
              if (count.ok()) {
                *collected += *count;
              } else {
                log::Info("no blobs were collected there place={} error=\"{}\"", place->name(),
                          Message(count.status()));
              }
              done(absl::OkStatus());
            });
      },
      OnExecutor([collected](BlobCollector& self, const absl::Status& status) {
        if (*collected != 0) log::Info("blobs collected copies={}", collected->load());
        self.EndRound(status);
      }));
}

void BlobCollector::EndRound(const absl::Status& status) {
  deps_.pins->EndRound();
  if (absl::IsAborted(status)) return;
  if (!status.ok()) log::Warning("no blobs were collected error=\"{}\"", Message(status));
  ArmRound();
}

}  // namespace baton
