#include "crash_guard.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "in_child.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

TEST_CASE("tells of a crash in one line, and leaves with the code") {
  const TemporaryFolder folder;
  const int status = InChild([&] {
    const int file = open((folder.path() / "told").c_str(), O_WRONLY | O_CREAT, 0600);
    const CrashGuard guard(file, ExitCode::kBadModel, "it crashed\n");
    std::abort();
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 11);
  CHECK(ContentOf(folder.path() / "told") == "it crashed\n");
}

TEST_CASE("leaves signals alone that somebody takes, and all of them afterwards") {
  const int taken = InChild([] {
    std::signal(SIGFPE, [](int) { _exit(5); });
    const CrashGuard guard(STDERR_FILENO, ExitCode::kBadModel, "not told\n");
    raise(SIGFPE);
  });
  CHECK(WEXITSTATUS(taken) == 5);
  const int after = InChild([] {
    {
      const CrashGuard guard(STDERR_FILENO, ExitCode::kBadModel, "not told\n");
    }
    std::abort();
  });
  CHECK(WIFSIGNALED(after));
}

}  // namespace
}  // namespace erfnet
