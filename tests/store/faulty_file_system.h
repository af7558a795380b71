// A RocksDB FileSystem above the real one that has the faults of disks: a crash loses what was not
// synced, the disk fills up, writes fail (EIO), nothing may be changed (EROFS). After LevelDB's
// fault-injecting Env.
//
// Bytes go to the real file at once; of each file it remembers how far it was synced, and of each
// new file whether its directory was. CopySynced makes what a crash would leave, while the engine
// goes on: it need not be told that it died.
//
// Threading: any thread.

#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "store/acknowledged_mark.h"

namespace baton {

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using IOStatus = rocksdb::IOStatus;

  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  void SetFull(bool full) { full_ = full; }
  void SetBroken(bool broken) { broken_ = broken; }
  // As a kernel makes a file system that it has found damaged, under files that are open.
  void SetReadOnly(bool read_only) { read_only_ = read_only; }
  // What a crash at this instant would leave of `from`, as a directory of its own.
  void CopySynced(const std::string& from, const std::string& to) {
    namespace fs = std::filesystem;
    std::lock_guard lock(mutex_);
    fs::create_directories(to);
    CopyMark(from, to);
    for (const auto& entry : fs::directory_iterator(from)) {
      const std::string file = entry.path().string();
      const std::string name = entry.path().filename().string();
      if (unlinked_.contains(file) || name == "LOCK" || name == AcknowledgedMark::kFileName) {
        continue;
      }
      const fs::path copy = fs::path(to) / entry.path().filename();
      fs::copy_file(entry.path(), copy, fs::copy_options::overwrite_existing);
      if (auto it = synced_.find(file); it != synced_.end() && fs::file_size(copy) > it->second) {
        fs::resize_file(copy, it->second);
      }
    }
  }

  IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options, uint64_t* bytes,
                        rocksdb::IODebugContext* context) override {
    auto status = FileSystemWrapper::GetFreeSpace(path, options, bytes, context);
    if (full_) *bytes = 1 << 20;
    return status;
  }
  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           rocksdb::IODebugContext* context) override {
    if (auto fault = WriteFault(); !fault.ok()) return fault;
    auto status = FileSystemWrapper::NewWritableFile(name, options, result, context);
    if (status.ok()) Track(name, result);
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              rocksdb::IODebugContext* context) override {
    if (auto fault = WriteFault(); !fault.ok()) return fault;
    auto status = FileSystemWrapper::ReopenWritableFile(name, options, result, context);
    if (status.ok()) Track(name, result);
    return status;
  }
  IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* result,
                        rocksdb::IODebugContext* context) override;
  IOStatus CreateDirIfMissing(const std::string& name, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* context) override {
    if (read_only_ && !std::filesystem::exists(name)) return WriteFault();
    return FileSystemWrapper::CreateDirIfMissing(name, options, context);
  }
  IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options,
                    rocksdb::FileLock** lock, rocksdb::IODebugContext* context) override {
    if (read_only_) return WriteFault();
    return FileSystemWrapper::LockFile(name, options, lock, context);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const rocksdb::IOOptions& options,
                      rocksdb::IODebugContext* context) override {
    if (auto fault = WriteFault(); !fault.ok()) return fault;
    std::lock_guard lock(mutex_);
    auto status = FileSystemWrapper::RenameFile(from, to, options, context);
    if (!status.ok()) return status;
    // A renamed file keeps its bytes; that the rename itself may be lost is not modelled.
    unlinked_.erase(from);
    unlinked_.erase(to);
    if (auto moved = synced_.extract(from); !moved.empty()) synced_[to] = moved.mapped();
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                      rocksdb::IODebugContext* context) override {
    if (read_only_) return WriteFault();
    std::lock_guard lock(mutex_);
    synced_.erase(name);
    unlinked_.erase(name);
    return FileSystemWrapper::DeleteFile(name, options, context);
  }

 private:
  class File;
  class Directory;

  IOStatus WriteFault() const {
    if (broken_) return IOStatus::IOError("injected EIO");
    if (read_only_) return IOStatus::IOError("injected EROFS", "Read-only file system");
    return IOStatus::OK();
  }
  void Track(const std::string& name, std::unique_ptr<rocksdb::FSWritableFile>* file);
  // First, for it goes on being written. Before it is, AcknowledgedMark syncs the MANIFEST itself,
  // past this file system.
  void CopyMark(const std::string& from, const std::string& to) {
    namespace fs = std::filesystem;
    const std::string mark = std::string("/") + AcknowledgedMark::kFileName;
    std::error_code none;
    fs::copy_file(from + mark, to + mark, fs::copy_options::overwrite_existing, none);
    uint64_t sequence = 0, manifest_bytes = 0;
    std::string manifest;
    std::ifstream in(to + mark);
    if (none || !(in >> sequence >> manifest_bytes >> manifest)) return;
    auto synced = synced_.find((fs::path(from) / manifest).string());
    if (synced != synced_.end()) synced->second = std::max(synced->second, manifest_bytes);
  }
  void NoteSynced(const std::string& name, uint64_t size) {
    std::lock_guard lock(mutex_);
    if (synced_.contains(name)) synced_[name] = size;
  }
  static std::filesystem::path Stripped(std::string name) {
    while (name.size() > 1 && name.ends_with('/')) name.pop_back();
    return name;
  }
  void NoteDirectorySynced(const std::string& name) {
    std::lock_guard lock(mutex_);
    std::erase_if(unlinked_, [&](const std::string& file) {
      return std::filesystem::path(file).parent_path() == Stripped(name);
    });
  }

  std::atomic<bool> full_ = false;
  std::atomic<bool> broken_ = false;
  std::atomic<bool> read_only_ = false;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, uint64_t> synced_;  // bytes, of each file written since the last crash
  std::set<std::string> unlinked_;          // new files whose directory was not synced
};

class FaultyFileSystem::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(FaultyFileSystem* owner, std::string name, std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner), name_(std::move(name)) {}

  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                  rocksdb::IODebugContext* context) override {
    if (auto fault = owner_->WriteFault(); !fault.ok()) return fault;
    std::lock_guard lock(owner_->mutex_);
    return FSWritableFileOwnerWrapper::Append(data, options, context);
  }
  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                  const rocksdb::DataVerificationInfo& info,
                  rocksdb::IODebugContext* context) override {
    if (auto fault = owner_->WriteFault(); !fault.ok()) return fault;
    std::lock_guard lock(owner_->mutex_);
    return FSWritableFileOwnerWrapper::Append(data, options, info, context);
  }
  IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
    if (auto fault = owner_->WriteFault(); !fault.ok()) return fault;
    return Synced(FSWritableFileOwnerWrapper::Sync(options, context), options, context);
  }
  IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
    if (auto fault = owner_->WriteFault(); !fault.ok()) return fault;
    return Synced(FSWritableFileOwnerWrapper::Fsync(options, context), options, context);
  }

 private:
  IOStatus Synced(IOStatus status, const rocksdb::IOOptions& options,
                  rocksdb::IODebugContext* context) {
    if (status.ok()) owner_->NoteSynced(name_, GetFileSize(options, context));
    return status;
  }

  FaultyFileSystem* const owner_;
  const std::string name_;
};

class FaultyFileSystem::Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FaultyFileSystem* owner, std::string name,
            std::unique_ptr<rocksdb::FSDirectory> directory)
      : owner_(owner), name_(std::move(name)), directory_(std::move(directory)) {}

  IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
    if (auto fault = owner_->WriteFault(); !fault.ok()) return fault;
    auto status = directory_->Fsync(options, context);
    if (status.ok()) owner_->NoteDirectorySynced(name_);
    return status;
  }
  IOStatus Close(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
    return directory_->Close(options, context);
  }

 private:
  FaultyFileSystem* const owner_;
  const std::string name_;
  const std::unique_ptr<rocksdb::FSDirectory> directory_;
};

inline void FaultyFileSystem::Track(const std::string& name,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file) {
  *file = std::make_unique<File>(this, name, std::move(*file));
  std::lock_guard lock(mutex_);
  synced_[name] = 0;
  unlinked_.insert(name);
}

inline rocksdb::IOStatus FaultyFileSystem::NewDirectory(
    const std::string& name, const rocksdb::IOOptions& options,
    std::unique_ptr<rocksdb::FSDirectory>* result, rocksdb::IODebugContext* context) {
  auto status = FileSystemWrapper::NewDirectory(name, options, result, context);
  if (status.ok()) *result = std::make_unique<Directory>(this, name, std::move(*result));
  return status;
}

}  // namespace baton
