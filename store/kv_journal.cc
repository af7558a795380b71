#include "store/kv_journal.h"

#include <memory>
#include <utility>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"
#include "store/journal.pb.h"

namespace baton {
namespace {

constexpr size_t kReadsAtOnce = 1'000;
// No path: those begin with a slash.
constexpr char kHeadKey[] = "head";

std::string ToValue(const NodeData& node) {
  pb::JournaledNode stored;
  stored.set_data(node.data);
  stored.set_version(node.stat.version);
  stored.set_created_zxid(node.stat.created_zxid);
  return stored.SerializeAsString();
}

NodeData ToNode(const std::string& path, const absl::StatusOr<std::optional<std::string>>& value) {
  pb::JournaledNode stored;
  NodeData node;
  if (value.ok() && value->has_value() && stored.ParseFromString(**value)) {
    node.data = std::move(*stored.mutable_data());
    node.stat.version = stored.version();
    node.stat.created_zxid = stored.created_zxid();
  } else {
    log::Error("a node of the journal is unreadable path={} error=\"{}\"", path,
               value.ok() ? "malformed" : value.status().ToString());
  }
  return node;
}

// One Load: the keys, then their values. Its callbacks hold it, and not the engine, which must not
// end on its own thread.
class JournalReader : public std::enable_shared_from_this<JournalReader> {
 public:
  JournalReader(KvEngine* engine, Journal::LoadCallback callback)
      : engine_(engine), callback_(std::move(callback)) {}

  void Run() {
    engine_->Keys(JournalFamily(), "", [self = shared_from_this()](auto keys) {
      if (!keys.ok()) return self->callback_(keys.status());
      self->ReadValues(*std::move(keys));
    });
  }

 private:
  void ReadValues(std::vector<std::string> keys) {
    keys_ = std::move(keys);
    values_.resize(keys_.size(), std::optional<std::string>());
    auto read_one = [self = shared_from_this()](size_t index, StepDone done) {
      self->engine_->Get(JournalFamily(), self->keys_[index],
                         [self, index, done = std::move(done)](auto value) mutable {
                           self->values_[index] = std::move(value);
                           done(absl::OkStatus());
                         });
    };
    RunBounded(keys_.size(), kReadsAtOnce, std::move(read_one),
               [self = shared_from_this()](const absl::Status&) { self->Finish(); });
  }

  void Finish() {
    // A disk that fails now may work tomorrow: nothing was lost yet, so nothing is given up.
    for (const auto& value : values_) {
      if (!value.ok() && value.status().code() != absl::StatusCode::kDataLoss) {
        return callback_(value.status());
      }
    }
    TreeImage image;
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (keys_[i] == kHeadKey) {
        pb::JournalHead head;
        if (!values_[i].ok() || !head.ParseFromString(values_[i]->value_or(""))) {
          return callback_(DataLoss("its head is unreadable"));
        }
        image.last_zxid = head.last_zxid();
      } else {
        image.nodes.emplace_back(keys_[i], ToNode(keys_[i], values_[i]));
      }
    }
    callback_(std::move(image));
  }

  KvEngine* const engine_;
  Journal::LoadCallback callback_;
  std::vector<std::string> keys_;
  std::vector<absl::StatusOr<std::optional<std::string>>> values_;
};

class KvJournal final : public Journal {
 public:
  explicit KvJournal(KvEnginePtr engine) : engine_(std::move(engine)) {}

  void Append(JournalRecord record, AppendCallback callback) override {
    FaultPoint("journal.before-write");
    std::vector<KvWrite> writes;
    pb::JournalHead head;
    head.set_last_zxid(record.last_zxid);
    writes.push_back({JournalFamily(), kHeadKey, head.SerializeAsString()});
    for (auto& [path, node] : record.nodes) {
      writes.push_back(
          {JournalFamily(), std::move(path), node ? std::optional(ToValue(*node)) : std::nullopt});
    }
    engine_->Write(std::move(writes),
                   [callback = std::move(callback)](absl::Status status) mutable {
                     if (status.ok()) FaultPoint("journal.written");
                     callback(std::move(status));
                   });
  }

  void Load(LoadCallback callback) override {
    std::make_shared<JournalReader>(engine_.get(), std::move(callback))->Run();
  }

 private:
  const KvEnginePtr engine_;
};

}  // namespace

std::string JournalFamily() { return "coordination"; }

JournalPtr NewKvJournal(KvEnginePtr engine) {
  return std::make_shared<KvJournal>(std::move(engine));
}

}  // namespace baton
