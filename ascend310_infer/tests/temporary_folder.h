// A folder that is gone with all in it at the end of a test.
#ifndef ASCEND310_INFER_TESTS_TEMPORARY_FOLDER_H_
#define ASCEND310_INFER_TESTS_TEMPORARY_FOLDER_H_

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace erfnet {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "erfnet.XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  // A path in it, whose folders are made.
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    return path;
  }

  std::filesystem::path Write(const std::string& name, const std::string& content) const {
    std::filesystem::path path = *this / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  // Sorted.
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

inline std::string ContentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_TESTS_TEMPORARY_FOLDER_H_
