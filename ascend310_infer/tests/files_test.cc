#include "files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "expect_fault.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("a file has its name when it is whole") {
  const TemporaryFolder folder;
  const auto path = folder.Write("a.png", "old");
  {
    NewFile file(path);
    file.Write("new ", 4);
    file.Write("text", 4);
    CHECK(ContentOf(path) == "old");
    file.Commit();
  }
  CHECK(ContentOf(path) == "new text");
  CHECK(folder.Names() == Names{"a.png"});
}

TEST_CASE("what is not finished leaves nothing") {
  const TemporaryFolder folder;
  {
    NewFile file(folder.path() / "a.png");
    file.Write("half", 4);
    CHECK(folder.Names().size() == 1);
  }
  CHECK(folder.Names().empty());
}

TEST_CASE("a full disk is told with the folder, and leaves nothing") {
  const TemporaryFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit limited = before;
  limited.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &limited);
  const std::vector<char> data(4000);
  ExpectFault([&] { WriteFile(folder.path() / "a.npy", data.data(), data.size()); }, ExitCode::kDiskFull,
              {folder.path().string(), "--output"});
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(folder.Names().empty());
}

TEST_CASE("a folder that takes no files is told before anything is done") {
  const TemporaryFolder folder;
  const auto file = folder.Write("file", "");
  ExpectFault([&] { MakeFolder(file); }, ExitCode::kUsage, {file.string(), "--output"});
  ExpectFault([&] { MakeFolder(file / "below"); }, ExitCode::kUsage, {"below"});
  ExpectFault([] { MakeFolder("/proc/none"); }, ExitCode::kUsage, {"/proc/none"});
  ExpectFault([&] { WriteFile(folder.path() / "no" / "a", "", 0); }, ExitCode::kUsage, {"No such file"});
  MakeFolder(folder.path() / "new" / "deep");
  CHECK(std::filesystem::is_empty(folder.path() / "new" / "deep"));
}

TEST_CASE("a moved file can be read as the umask lets") {
  const TemporaryFolder folder;
  const auto from = folder.Write("from", "content");
  chmod(from.c_str(), 0400);
  const mode_t mask = umask(022);
  MoveFile(from, folder.path() / "to");
  umask(mask);
  struct stat found{};
  REQUIRE(stat((folder.path() / "to").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777U) == 0644);
  CHECK(folder.Names() == Names{"to"});
  ExpectFault([&] { MoveFile(folder.path() / "none", folder.path() / "to"); }, ExitCode::kUsage, {"none"});
}

}  // namespace
}  // namespace erfnet
