// F27, anywhere: a flipped bit, a file cut short or lost, of each kind of file that RocksDB keeps,
// at places drawn from seeds. A replica among others always comes up, lists what it has and serves
// nothing but what was once acknowledged; one alone either has everything that was acknowledged
// last (some of it unreadable, and saying so) or does not start and says what to do.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "store/acknowledged_mark.h"
#include "store/kv_journal.h"
#include "store/store_directory.h"
#include "tests/rpc/loopback.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;

constexpr uint32_t kSeeds = 12;
const std::vector<std::string> kFamilies{"one", JournalFamily()};

template <class T, class F>
T Await(F start) {
  auto done = std::make_shared<Eventually<T>>();
  start([done](T value) { done->Set(std::move(value)); });
  return done->Get();
}

absl::Status Put(KvEngine& engine, const std::string& key, const std::string& value) {
  std::vector<KvWrite> writes{{"one", key, value}};
  return Await<absl::Status>([&](auto done) { engine.Write(std::move(writes), std::move(done)); });
}

using Value = absl::StatusOr<std::optional<std::string>>;
Value Get(KvEngine& engine, const std::string& key) {
  return Await<Value>([&](auto done) { engine.Get("one", key, std::move(done)); });
}

class DamageAnywhereTest : public testing::TestWithParam<const char*> {
 protected:
  static KvEnginePtr Open(const fs::path& directory) {
    auto engine = OpenStoreDirectory(directory, kFamilies, WhenDamaged::kRefuse);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return engine.ok() ? *engine : nullptr;
  }

  // What is in tables and blob files, and, changed and new, what only the log holds.
  void Fill() {
    for (int life = 0; life < 2; ++life) {
      const KvEnginePtr engine = Open(good_);
      ASSERT_NE(engine, nullptr);
      const JournalPtr journal = NewKvJournal(engine);
      for (int i = 20 * life; i < 20 * life + 40; ++i) {
        const std::string key = std::to_string(i);
        const std::string value(i % 2 == 0 ? 100 : 10'000,
                                static_cast<char>('a' + (i + life) % 26));
        ASSERT_TRUE(Put(*engine, key, value).ok());
        values_[key].insert(value);
        last_[key] = value;
      }
      for (int i = 0; i <= 10; ++i) {
        const std::string path = i == 0 ? "/jobs" : "/jobs/" + std::to_string(10 * life + i);
        ASSERT_TRUE(Append(*journal, path, "data of " + path).ok());
      }
    }
  }

  absl::Status Append(Journal& journal, const std::string& path, const std::string& data) {
    NodeData node;
    node.data = data;
    JournalRecord record;
    record.nodes.emplace_back(path, node);
    record.last_zxid = ++zxid_;
    nodes_.insert(path);
    return Await<absl::Status>(
        [&](auto done) { journal.Append(std::move(record), std::move(done)); });
  }

  // One file of the kind, in a copy of the store; says what was done.
  std::string Damage(const fs::path& directory, uint32_t seed) {
    fs::remove_all(directory);
    fs::copy(good_, directory, fs::copy_options::recursive);
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory)) {
      const std::string name = entry.path().filename();
      const bool of_kind = name.ends_with(GetParam()) || name.starts_with(GetParam());
      if (of_kind && entry.file_size() > 0) files.push_back(entry.path());
    }
    EXPECT_FALSE(files.empty()) << GetParam();
    if (files.empty()) return "";
    std::sort(files.begin(), files.end());
    std::mt19937 random(seed);
    const fs::path file = files[random() % files.size()];
    const auto at = static_cast<std::streamoff>(random() % fs::file_size(file));
    const std::string where = file.filename().string() + " at " + std::to_string(at);
    if (seed == kSeeds) {
      fs::remove(file);
      return "lost " + where;
    }
    if (seed % 3 == 0) {
      fs::resize_file(file, static_cast<uintmax_t>(at));
      return "cut short " + where;
    }
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ (1 << random() % 8));
    stream.seekp(at);
    stream.put(byte);
    return "flipped " + where;
  }

  void ExpectRefusalWithAdvice(const absl::Status& status) {
    EXPECT_EQ(status.code(), Code::kDataLoss) << status;
    EXPECT_NE(status.message().find("put back a backup"), std::string::npos) << status;
  }

  const TemporaryDirectory place_;
  const fs::path base_ = place_.path();
  const fs::path good_ = base_ / "good";
  std::map<std::string, std::set<std::string>> values_;  // ever acknowledged
  std::map<std::string, std::string> last_;
  std::set<std::string> nodes_;
  int64_t zxid_ = 0;
};

TEST_P(DamageAnywhereTest, F27AloneNothingAcknowledgedIsSilentlyLost) {
  Fill();
  for (uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    const std::string directory = base_ / "damaged";
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + Damage(directory, seed));
    auto opened = OpenStoreDirectory(directory, kFamilies, WhenDamaged::kRefuse);
    if (!opened.ok()) {
      ExpectRefusalWithAdvice(opened.status());
      // And again: the first try has not made it look whole.
      ExpectRefusalWithAdvice(
          OpenStoreDirectory(directory, kFamilies, WhenDamaged::kRefuse).status());
      continue;
    }
    for (const auto& [key, value] : last_) {
      const Value got = Get(**opened, key);
      if (got.ok()) {
        ASSERT_TRUE(got->has_value()) << key << " is lost, and nobody says so";
        ASSERT_TRUE(**got == value) << key;
      } else {
        ASSERT_EQ(got.status().code(), Code::kDataLoss) << got.status();
      }
    }
  }
}

TEST_P(DamageAnywhereTest, F27AloneTheJournalHasEveryNodeOrIsRefused) {
  Fill();
  for (uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    const std::string directory = base_ / "damaged";
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + Damage(directory, seed));
    auto opened = OpenStoreDirectory(directory, kFamilies, WhenDamaged::kRefuse);
    if (!opened.ok()) continue;
    const JournalPtr journal = NewKvJournal(*opened);
    const auto image =
        Await<absl::StatusOr<TreeImage>>([&](auto done) { journal->Load(std::move(done)); });
    if (!image.ok()) {
      EXPECT_EQ(image.status().code(), Code::kDataLoss) << image.status();
      continue;
    }
    EXPECT_EQ(image->last_zxid, zxid_);
    std::set<std::string> found;
    for (const auto& [path, node] : image->nodes) {
      found.insert(path);
      EXPECT_TRUE(node.data.empty() || node.data == "data of " + path) << node.data;
    }
    EXPECT_EQ(found, nodes_);
  }
}

TEST_P(DamageAnywhereTest, F27AmongOthersItServesNothingWrongAndCanBeFilledAgain) {
  Fill();
  for (uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    const std::string directory = base_ / "damaged";
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + Damage(directory, seed));
    auto opened = OpenStoreDirectory(directory, kFamilies, WhenDamaged::kSetAside);
    ASSERT_TRUE(opened.ok()) << opened.status();
    using Keys = absl::StatusOr<std::vector<std::string>>;
    const Keys keys = Await<Keys>([&](auto done) { (*opened)->Keys("one", "", std::move(done)); });
    ASSERT_TRUE(keys.ok()) << "what it lacks cannot be known: " << keys.status();
    for (const auto& [key, value] : last_) {
      const Value got = Get(**opened, key);
      if (got.ok()) {
        ASSERT_TRUE(!got->has_value() || values_[key].contains(**got)) << key;
      } else {
        ASSERT_EQ(got.status().code(), Code::kDataLoss) << got.status();
      }
      ASSERT_TRUE(Put(**opened, key, value).ok());  // as convergence does
      ASSERT_EQ(Get(**opened, key)->value_or(""), value);
    }
    opened->reset();
    fs::remove_all(directory + ".damaged-1");
  }
}

INSTANTIATE_TEST_SUITE_P(EachKindOfFile, DamageAnywhereTest,
                         testing::Values(".sst", ".blob", ".log", "MANIFEST", "CURRENT", "OPTIONS",
                                         "IDENTITY", AcknowledgedMark::kFileName),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '.');
                           return name;
                         });

class AcknowledgedMarkTest : public DamageAnywhereTest {};

TEST_F(AcknowledgedMarkTest, F27ALogThatLostItsEndIsToldAndCanBeAccepted) {
  Fill();
  for (const auto& entry : fs::directory_iterator(good_)) {
    if (entry.path().extension() == ".log" && entry.file_size() > 0) {
      fs::resize_file(entry.path(), entry.file_size() - 1);
    }
  }
  const auto refused = OpenStoreDirectory(good_, kFamilies, WhenDamaged::kRefuse).status();
  ExpectRefusalWithAdvice(refused);
  EXPECT_NE(refused.message().find("changes that were acknowledged are missing"), std::string::npos)
      << refused;
  fs::remove(good_ / AcknowledgedMark::kFileName);  // as the message says
  EXPECT_NE(Open(good_), nullptr);
}

// What a power failure may leave: a log whose last record was never acknowledged.
TEST_F(AcknowledgedMarkTest, F26WhatWasNeverAcknowledgedIsNotMissed) {
  Fill();
  for (const auto& entry : fs::directory_iterator(good_)) {
    if (entry.path().extension() != ".log" || entry.file_size() == 0) continue;
    std::ofstream(entry.path(), std::ios::app | std::ios::binary) << "half of a record";
  }
  EXPECT_NE(Open(good_), nullptr);
}

TEST_F(AcknowledgedMarkTest, AStoreOfAVersionWithoutMarkIsOpenedAndGetsOne) {
  Fill();
  fs::remove(good_ / AcknowledgedMark::kFileName);
  EXPECT_NE(Open(good_), nullptr);
  EXPECT_TRUE(AcknowledgedMark(good_).Read().value_or(0) > 0);
}

}  // namespace
}  // namespace baton
