#include "ha/znode_path.h"

#include "base/status.h"

namespace baton {
namespace {

// What an op costs on the wire beside its path and data: header, lengths, version or flags, and
// ACL; 48 bytes at most, as ZooKeeper encodes them today.
constexpr size_t kOpOverheadBytes = 100;

bool IsValidPart(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && part.find('\0') == part.npos;
}

}  // namespace

absl::Status ValidateZnodePath(std::string_view path) {
  if (path == "/") return absl::OkStatus();
  if (path.empty() || path.front() != '/') {
    return InvalidArgument("'{}' is no node path: it must start with '/'", path);
  }
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (!IsValidPart(path.substr(begin, end - begin))) {
      return InvalidArgument("'{}' is no node path: bad part at offset {}", path, begin);
    }
    begin = end + 1;
    if (end + 1 == path.size()) return InvalidArgument("'{}' is no node path: ends in '/'", path);
  }
  return absl::OkStatus();
}

size_t RequestBytes(const std::vector<CoordinationOp>& ops) {
  size_t bytes = 0;
  for (const CoordinationOp& op : ops) bytes += op.path.size() + op.data.size() + kOpOverheadBytes;
  return bytes;
}

absl::Status ValidateOps(const std::vector<CoordinationOp>& ops) {
  if (ops.empty()) return InvalidArgument("a transaction needs at least one operation");
  for (const CoordinationOp& op : ops) {
    if (auto status = ValidateZnodePath(op.path); !status.ok()) return status;
    const bool makes_or_removes =
        op.type == CoordinationOp::Type::kCreate || op.type == CoordinationOp::Type::kDelete;
    if (makes_or_removes && op.path == "/") {
      return InvalidArgument("the root node can be neither created nor deleted");
    }
  }
  const size_t bytes = RequestBytes(ops);
  if (bytes > kMaxCoordinationRequestBytes) {
    return InvalidArgument("a request of {} bytes is too large; {} is the limit (first node: {})",
                           bytes, kMaxCoordinationRequestBytes, ops.front().path);
  }
  return absl::OkStatus();
}

std::string ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string NameOf(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

}  // namespace baton
