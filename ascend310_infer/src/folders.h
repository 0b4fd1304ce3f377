// What folders hold, in the order of names.
#ifndef ASCEND310_INFER_FOLDERS_H_
#define ASCEND310_INFER_FOLDERS_H_

#include <filesystem>
#include <string>
#include <vector>

namespace erfnet {

using Paths = std::vector<std::filesystem::path>;

// Both throw Fault (kBadData) where the folder cannot be read.
Paths FoldersIn(const std::filesystem::path& folder);
Paths EntriesIn(const std::filesystem::path& folder);

bool IsFolder(const std::filesystem::path& path);
bool IsFile(const std::filesystem::path& path);

// The last part of a path, also where a separator follows it.
std::string NameOf(const std::filesystem::path& path);

// The names of up to ten, and how many more.
std::string Listed(const std::vector<std::string>& names);

}  // namespace erfnet

#endif  // ASCEND310_INFER_FOLDERS_H_
