#include "ha/stored_state_check.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"

namespace baton {
namespace {

// One search; the callbacks of the client hold it (and it not the client).
class StoredStateSearch : public std::enable_shared_from_this<StoredStateSearch> {
 public:
  StoredStateSearch(const CoordinationClientPtr& client, StoredStateCallback callback)
      : client_(client), callback_(std::move(callback)) {}

  void Begin(const CoordinationPaths& paths) {
    missing_ = 3;
    List(paths.jobs(), /*levels=*/2);
    List(paths.results(), /*levels=*/2);
    List(paths.roster(), /*levels=*/1);
  }

 private:
  // What is found `levels` below `path` counts; folders above it are made in advance.
  void List(const std::string& path, int levels) {
    auto client = client_.lock();
    if (!client) return Finish(Aborted("the session is over"));
    client->Children(
        path, nullptr,
        [self = shared_from_this(), path, levels](absl::StatusOr<std::vector<std::string>> names) {
          self->OnNames(path, levels, std::move(names));
        });
  }

  void OnNames(const std::string& path, int levels,
               absl::StatusOr<std::vector<std::string>> names) {
    if (!callback_) return;
    const bool absent = names.status().code() == absl::StatusCode::kNotFound;
    if (!names.ok() && !absent) return Finish(names.status());
    if (names.ok() && levels == 1 && !names->empty()) return Finish(path + "/" + names->front());
    if (names.ok() && levels > 1) {
      missing_ += names->size();
      for (const std::string& name : *names) List(path + "/" + name, levels - 1);
    }
    if (--missing_ == 0) Finish(std::string());
  }

  void Finish(absl::StatusOr<std::string> result) {
    if (auto callback = std::exchange(callback_, nullptr)) callback(std::move(result));
  }

  const std::weak_ptr<CoordinationClient> client_;
  StoredStateCallback callback_;
  size_t missing_ = 0;
};

}  // namespace

void FindStoredState(CoordinationClientPtr client, const CoordinationPaths& paths,
                     StoredStateCallback callback) {
  std::make_shared<StoredStateSearch>(client, std::move(callback))->Begin(paths);
}

}  // namespace baton
