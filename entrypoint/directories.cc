#include "entrypoint/directories.h"

#include <filesystem>

#include "base/config_options.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string Below(const Config& config, const ConfigOption<std::string>& own, const char* name) {
  const std::string configured = config.Get(own);
  return configured.empty() ? WorkingDirectoryOf(config) + "/" + name
                            : fs::absolute(configured).lexically_normal().string();
}

}  // namespace

std::string WorkingDirectoryOf(const Config& config) {
  std::string directory =
      fs::absolute(config.Get(options::kWorkingDirectory)).lexically_normal().string();
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  return directory;
}

std::string StoreDirectoryOf(const Config& config) {
  return Below(config, options::kStoreDirectory, "store");
}

std::string TaskDirectoryOf(const Config& config) {
  return Below(config, options::kWorkDirectory, "tasks");
}

std::string OwnSharedDirectoryOf(const Config& config) {
  return Below(config, options::kSharedDirectory, "shared");
}

}  // namespace baton
