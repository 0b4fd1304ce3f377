#include "folders.h"

#include <algorithm>
#include <iterator>

#include "fault.h"

namespace erfnet {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kListed = 10;

}  // namespace

Paths EntriesIn(const fs::path& folder) {
  Paths entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) {
    throw Fault(ExitCode::kBadData,
                folder.string() + " cannot be read (" + error.message() + "): correct the path or its permissions");
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

Paths FoldersIn(const fs::path& folder) {
  const Paths entries = EntriesIn(folder);
  Paths folders;
  std::copy_if(entries.begin(), entries.end(), std::back_inserter(folders), IsFolder);
  return folders;
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string NameOf(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kListed); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kListed ? text + " and " + std::to_string(names.size() - kListed) + " more" : text;
}

}  // namespace erfnet
