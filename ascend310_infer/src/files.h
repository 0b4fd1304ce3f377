// Files that are whole or not there.
#ifndef ASCEND310_INFER_FILES_H_
#define ASCEND310_INFER_FILES_H_

#include <cstddef>
#include <filesystem>
#include <string>

namespace erfnet {

// A file under a temporary name in the folder where it shall be. It takes its own name with Commit, and is removed
// where that was not reached. All of it throws Fault: kDiskFull where there is no room, kUsage where the folder does
// not take files, kUnexpected else; the message names the folder or the file.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void Write(const void* data, std::size_t size);
  // On the disk, and renamed.
  void Commit();

 private:
  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
};

void WriteFile(const std::filesystem::path& path, const void* data, std::size_t size);

// Gives a finished file of this user another name in the same file system, readable by all whom the umask lets.
void MoveFile(const std::filesystem::path& from, const std::filesystem::path& to);

// Makes the folder with those above it, and finds out whether files can be written there; throws Fault as NewFile.
void MakeFolder(const std::filesystem::path& folder);

}  // namespace erfnet

#endif  // ASCEND310_INFER_FILES_H_
