// What the tests with real processes share: waiting for conditions, and whether processes live.

#pragma once

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "taskmanager/guardian/process_tree.h"
#include "tests/temporary_directory.h"

namespace baton {

inline constexpr std::chrono::seconds kDeadline(30);

inline bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

inline std::string GuardianBinary() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "baton-guardian";
}

inline std::string ReadWholeFile(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// A process that a task names in a file ("echo $$ > …"), told apart from a later one of its pid.
class NamedProcess {
 public:
  explicit NamedProcess(const std::string& file) {
    EXPECT_TRUE(Eventually([&] { return ReadWholeFile(file).ends_with("\n"); })) << file;
    pid_ = std::atoi(ReadWholeFile(file).c_str());
    const auto stat = guardian::ReadProcessStat(pid_);
    EXPECT_TRUE(stat.has_value()) << "process " << pid_ << " is gone already";
    if (stat) start_ticks_ = stat->start_ticks;
  }
  pid_t pid() const { return pid_; }
  bool alive() const {
    const auto stat = guardian::ReadProcessStat(pid_);
    return stat && stat->start_ticks == start_ticks_ && stat->state != 'Z';
  }

 private:
  pid_t pid_ = 0;
  uint64_t start_ticks_ = 0;
};

}  // namespace baton
