#include "child.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>

#include "expect_fault.h"
#include "in_child.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

TEST_CASE("work is done in another process") {
  const TemporaryFolder folder;
  RunInChild("work", "mend it", [&] { static_cast<void>(folder.Write("pid", std::to_string(getpid()))); });
  CHECK(std::stol(ContentOf(folder.path() / "pid")) != getpid());
}

TEST_CASE("a fault comes through with its code and message") {
  const std::string reason(3000, 'x');
  ExpectFault([&] { RunInChild("work", "mend it", [&] { throw Fault(ExitCode::kDiskFull, reason); }); },
              ExitCode::kDiskFull, {reason});
  ExpectFault([] { RunInChild("work", "mend it", [] { throw std::runtime_error("other"); }); }, ExitCode::kUnexpected,
              {"other"});
}

TEST_CASE("what kills the child is told, and so is that it leaves by itself") {
  ExpectFault([] { RunInChild("work", "mend it", [] { raise(SIGKILL); }); }, ExitCode::kBadModel,
              {"work dies of Killed: mend it"});
  ExpectFault([] { RunInChild("work", "mend it", [] { _exit(0); }); }, ExitCode::kBadModel, {"work ends with 0"});
}

TEST_CASE("the end of the child is seen where the program was started with such signals ignored") {
  const int status = InChild([] {
    std::signal(SIGCHLD, SIG_IGN);
    // Not for ever, if it is not seen.
    alarm(60);
    RunInChild("work", "mend it", [] {});
  });
  CHECK(WIFEXITED(status));
}

TEST_CASE("an interrupt ends the child, and is told") {
  ExpectFault(
      [] {
        RunInChild("work", "mend it", [] {
          kill(getppid(), SIGINT);
          pause();
        });
      },
      ExitCode::kInterrupted, {"interrupted"});
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
}

}  // namespace
}  // namespace erfnet
