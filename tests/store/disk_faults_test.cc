// What a replica's disk does to it: F25 (full, EIO, read-only), F26 (un-synced writes lost), F27
// (damage).

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "store/kv_engine.h"
#include "store/store_directory.h"
#include "tests/rpc/loopback.h"
#include "tests/store/faulty_file_system.h"
#include "tests/temporary_directory.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;
const std::vector<std::string> kFamilies{"one"};

absl::Status Put(KvEngine& engine, const std::string& key, const std::string& value) {
  auto done = std::make_shared<Eventually<absl::Status>>();
  std::vector<KvWrite> writes{{"one", key, value}};
  engine.Write(std::move(writes), [done](absl::Status status) { done->Set(std::move(status)); });
  return done->Get();
}

absl::StatusOr<std::optional<std::string>> Get(KvEngine& engine, const std::string& key) {
  auto done = std::make_shared<Eventually<absl::StatusOr<std::optional<std::string>>>>();
  engine.Get("one", key, [done](auto got) { done->Set(std::move(got)); });
  return done->Get();
}

class DiskFaultsTest : public testing::Test {
 protected:
  DiskFaultsTest() { fs::create_directories(directory_); }

  void Open() {
    auto engine = OpenRocksDbKvEngine(directory_, kFamilies, env_.get());
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  // The process dies now, and the machine with it.
  void CrashAndOpen() {
    const std::string left = directory_ + "-" + std::to_string(++crashes_);
    disk_->CopySynced(directory_, left);
    engine_.reset();
    fs::remove_all(directory_);
    directory_ = left;
    Open();
  }

  const TemporaryDirectory base_;
  std::string directory_ = base_.path() + "/store";
  std::shared_ptr<FaultyFileSystem> disk_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(disk_);
  KvEnginePtr engine_;
  int crashes_ = 0;
};

TEST_F(DiskFaultsTest, F26WhatWasAcknowledgedSurvivesACrashThatLosesWhatWasNotSynced) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::map<std::string, std::string> acknowledged;
    Open();
    for (int life = 0; life < 4 && !HasFailure(); ++life) {
      const int writes = 5 + static_cast<int>(random() % 40);
      for (int i = 0; i < writes; ++i) {
        const std::string key = std::to_string(random() % 30);
        // Small ones stand in the log alone, large ones fill memtables: they are flushed meanwhile.
        const std::string value(random() % 3 == 0 ? 1 << 20 : 100, static_cast<char>('a' + i % 26));
        ASSERT_TRUE(Put(*engine_, key, value).ok());
        acknowledged[key] = value;
      }
      // And one that is under way.
      std::vector<KvWrite> last{{"one", "last", "x"}};
      engine_->Write(std::move(last), [](absl::Status) {});
      CrashAndOpen();
      for (const auto& [key, value] : acknowledged) {
        const auto got = Get(*engine_, key);
        ASSERT_TRUE(got.ok() && got->has_value()) << key << " is lost: " << got.status();
        ASSERT_EQ(**got, value) << key;
      }
    }
    engine_.reset();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
}

TEST_F(DiskFaultsTest, F25AFullDiskRefusesWritesServesReadsAndIsWellWhenThereIsRoom) {
  Open();
  ASSERT_TRUE(Put(*engine_, "before", "1").ok());
  for (int round = 0; round < 3; ++round) {
    disk_->SetFull(true);
    for (int i = 0; i < 3; ++i) {
      const auto status = Put(*engine_, "refused", std::string(100'000, 'x'));
      EXPECT_EQ(status.code(), Code::kResourceExhausted) << status;
      EXPECT_NE(status.message().find("disk is full"), std::string::npos) << status;
    }
    EXPECT_EQ(Get(*engine_, "before")->value(), "1");
    disk_->SetFull(false);
    const auto status = Put(*engine_, "after", std::to_string(round));
    EXPECT_TRUE(status.ok()) << status;
  }
  CrashAndOpen();
  EXPECT_EQ(Get(*engine_, "before")->value(), "1");
  EXPECT_EQ(Get(*engine_, "after")->value(), "2");
}

TEST_F(DiskFaultsTest, F25AnIoErrorIsToldAndGotOverWithoutARestart) {
  Open();
  ASSERT_TRUE(Put(*engine_, "before", "1").ok());
  disk_->SetBroken(true);
  EXPECT_EQ(Put(*engine_, "refused", "x").code(), Code::kInternal);
  disk_->SetBroken(false);
  const auto status = Put(*engine_, "after", "2");
  EXPECT_TRUE(status.ok()) << status;
  CrashAndOpen();
  EXPECT_EQ(Get(*engine_, "before")->value(), "1");
  EXPECT_EQ(Get(*engine_, "after")->value(), "2");
}

TEST_F(DiskFaultsTest, F25AReadOnlyDiskRefusesWritesServesReadsAndIsWellWhenItIsWritableAgain) {
  Open();
  ASSERT_TRUE(Put(*engine_, "before", "1").ok());
  disk_->SetReadOnly(true);
  const auto refused = Put(*engine_, "refused", "x");
  EXPECT_EQ(refused.code(), Code::kInternal) << refused;
  EXPECT_NE(refused.message().find("Read-only file system"), std::string::npos) << refused;
  EXPECT_EQ(Get(*engine_, "before")->value(), "1");
  disk_->SetReadOnly(false);
  const auto status = Put(*engine_, "after", "2");
  EXPECT_TRUE(status.ok()) << status;
  CrashAndOpen();
  EXPECT_EQ(Get(*engine_, "before")->value(), "1");
  EXPECT_EQ(Get(*engine_, "after")->value(), "2");
}

TEST_F(DiskFaultsTest, F25AStoreOnAReadOnlyDiskIsNotOpenedAndLosesNothing) {
  Open();
  ASSERT_TRUE(Put(*engine_, "before", "1").ok());
  engine_.reset();
  disk_->SetReadOnly(true);
  const auto refused = OpenRocksDbKvEngine(directory_, kFamilies, env_.get());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("Read-only file system"), std::string::npos)
      << refused.status();
  disk_->SetReadOnly(false);
  Open();
  EXPECT_EQ(Get(*engine_, "before")->value(), "1");
}

TEST_F(DiskFaultsTest, F25ARealFileSystemFillsUpAndIsEmptied) {
  if (::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=160m") != 0) {
    GTEST_SKIP() << "may not mount a file system here";
  }
  // Also when an assertion ends the test.
  const std::shared_ptr<void> unmount(nullptr, [this](void*) {
    engine_.reset();
    ::umount2(directory_.c_str(), MNT_DETACH);
  });
  env_ = nullptr;  // the operating system's
  Open();
  ASSERT_TRUE(Put(*engine_, "before", "1").ok());
  const std::string filler = directory_ + "/somebody-elses-file";
  {
    std::ofstream out(filler, std::ios::binary);
    const std::string block(64 << 10, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  absl::Status status;
  for (int i = 0; i < 50 && status.ok(); ++i) {
    status = Put(*engine_, "blob" + std::to_string(i), std::string(60'000, 'x'));
  }
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status;
  EXPECT_EQ(Get(*engine_, "before")->value(), "1");
  fs::remove(filler);
  status = Put(*engine_, "after", "2");
  EXPECT_TRUE(status.ok()) << status;
  engine_.reset();
  Open();
  EXPECT_EQ(Get(*engine_, "after")->value(), "2");
}

// ---- F27: a flipped bit, or a file cut short, in each kind of file

enum class Damage { kFlippedBit, kCutShort };
struct DamageCase {
  const char* kind;  // a suffix, or the beginning of the name
  Damage damage;
};
void PrintTo(const DamageCase& c, std::ostream* out) { *out << c.kind; }

class DamagedStoreTest : public DiskFaultsTest, public testing::WithParamInterface<DamageCase> {
 protected:
  static std::string Value(int i) { return std::string(10'000, static_cast<char>('a' + i % 26)); }

  // Files of all kinds: what was flushed, and what only the log holds.
  void Fill() {
    Open();
    for (int i = 0; i < 1'500; ++i) {
      if (i % 100 == 99) {  // the others share its sync
        ASSERT_TRUE(Put(*engine_, std::to_string(i), Value(i)).ok());
        continue;
      }
      std::vector<KvWrite> writes{{"one", std::to_string(i), Value(i)}};
      engine_->Write(std::move(writes), [](absl::Status) {});
    }
    engine_.reset();
    Open();  // what the log held is flushed when it is read back
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(Put(*engine_, std::to_string(i), Value(i)).ok());
    }
    engine_.reset();
  }

  int DamageFiles() {
    int damaged = 0;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      const std::string name = entry.path().filename();
      const std::string kind = GetParam().kind;
      if (!name.ends_with(kind) && !name.starts_with(kind)) continue;
      if (entry.file_size() < 8) continue;
      ++damaged;
      if (GetParam().damage == Damage::kCutShort) {
        fs::resize_file(entry.path(), entry.file_size() / 2);
        continue;
      }
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      const auto at = static_cast<std::streamoff>(entry.file_size() / 2);
      file.seekg(at);
      const char byte = static_cast<char>(file.get() ^ 0x10);
      file.seekp(at);
      file.put(byte);
    }
    return damaged;
  }
};

TEST_P(DamagedStoreTest, F27NoWrongBytesAreEverServed) {
  Fill();
  ASSERT_GT(DamageFiles(), 0);
  auto opened = OpenRocksDbKvEngine(directory_, kFamilies);
  if (opened.ok()) {
    for (int i = 0; i < 1'500; ++i) {
      const auto got = Get(**opened, std::to_string(i));
      if (got.ok() && got->has_value()) {
        ASSERT_EQ(**got, Value(i)) << "key " << i;
      } else {
        EXPECT_TRUE(got.ok() || got.status().code() == Code::kDataLoss ||
                    got.status().code() == Code::kInternal)
            << got.status();
      }
    }
    opened->reset();
  } else {
    EXPECT_EQ(opened.status().code(), Code::kDataLoss) << opened.status();
    // The replica begins anew and keeps the damaged one; alone it would refuse.
    EXPECT_FALSE(OpenStoreDirectory(directory_, kFamilies, WhenDamaged::kRefuse).ok());
    auto anew = OpenStoreDirectory(directory_, kFamilies, WhenDamaged::kSetAside);
    ASSERT_TRUE(anew.ok()) << anew.status();
    // What only a log lost comes from the others, too, and the rest is kept.
    EXPECT_TRUE(fs::exists(directory_ + ".damaged-1") || GetParam().kind == std::string(".log"));
    EXPECT_TRUE(Put(**anew, "new", "1").ok());
  }
}

INSTANTIATE_TEST_SUITE_P(
    EachKindOfFile, DamagedStoreTest,
    testing::Values(DamageCase{".log", Damage::kFlippedBit}, DamageCase{".log", Damage::kCutShort},
                    DamageCase{".sst", Damage::kFlippedBit}, DamageCase{".sst", Damage::kCutShort},
                    DamageCase{".blob", Damage::kFlippedBit},
                    DamageCase{".blob", Damage::kCutShort},
                    DamageCase{"MANIFEST", Damage::kFlippedBit},
                    DamageCase{"MANIFEST", Damage::kCutShort},
                    DamageCase{"CURRENT", Damage::kFlippedBit}),
    [](const auto& info) {
      std::string name = info.param.kind;
      std::erase(name, '.');
      return name + (info.param.damage == Damage::kCutShort ? "CutShort" : "FlippedBit");
    });

TEST_F(DiskFaultsTest, F27AFourthDamagedStoreIsNotSetAside) {
  const auto damage = [&] {
    Open();
    ASSERT_TRUE(Put(*engine_, "a", std::string(1000, 'x')).ok());
    engine_.reset();
    std::ofstream(directory_ + "/CURRENT") << "nonsense";
  };
  for (int i = 1; i <= 3; ++i) {
    damage();
    ASSERT_TRUE(OpenStoreDirectory(directory_, kFamilies, WhenDamaged::kSetAside).ok());
    EXPECT_TRUE(fs::exists(directory_ + ".damaged-" + std::to_string(i)));
  }
  damage();
  const auto status = OpenStoreDirectory(directory_, kFamilies, WhenDamaged::kSetAside).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_NE(status.message().find("look after the disk"), std::string::npos) << status;
}

}  // namespace
}  // namespace baton
