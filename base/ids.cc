#include "base/ids.h"

#include "base/digest.h"
#include "base/status.h"
#include "fmt/format.h"

namespace baton {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

absl::StatusOr<JobId> JobId::Parse(std::string_view hex) {
  std::array<uint8_t, 16> bytes;
  bool valid = hex.size() == 2 * bytes.size();
  for (size_t i = 0; valid && i < bytes.size(); ++i) {
    const int high = HexValue(hex[2 * i]), low = HexValue(hex[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    if (valid) bytes[i] = static_cast<uint8_t>(high * 16 + low);
  }
  if (!valid) return InvalidArgument("a job id must be 32 hex digits");
  return JobId(bytes);
}

JobId JobId::FromKey(std::string_view key) { return *Parse(Sha256Hex(key).substr(0, 32)); }

std::string JobId::ToString() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(32);
  for (uint8_t byte : bytes_) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string ExecutionAttemptId::ToString() const {
  return fmt::format("{}/{}/{}/{}-e{}", job.ToString(), vertex, subtask, attempt, epoch.value);
}

}  // namespace baton
