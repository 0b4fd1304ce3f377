#include "interrupts.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <future>

#include "in_child.h"

namespace erfnet {
namespace {

TEST_CASE("the first signal asks, and the program goes on") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const int status = InChild([signal] {
      Interrupts interrupts;
      std::promise<void> asked;
      interrupts.OnRequest([&asked] { asked.set_value(); });
      kill(getpid(), signal);
      asked.get_future().wait();
      _exit(interrupts.Requested() ? 7 : 8);
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
  }
}

TEST_CASE("an action that is named too late is done at once") {
  const int status = InChild([] {
    Interrupts interrupts;
    std::promise<void> asked;
    interrupts.OnRequest([&asked] { asked.set_value(); });
    kill(getpid(), SIGTERM);
    asked.get_future().wait();
    bool done = false;
    interrupts.OnRequest([&done] { done = true; });
    _exit(done ? 7 : 8);
  });
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("the second signal ends the process") {
  const int status = InChild([] {
    Interrupts interrupts;
    interrupts.OnRequest([] { kill(getpid(), SIGINT); });
    kill(getpid(), SIGINT);
    pause();
  });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
}

TEST_CASE("without a signal there is nothing, and an ignored one stays so") {
  const int status = InChild([] {
    std::signal(SIGINT, SIG_IGN);
    Interrupts interrupts;
    kill(getpid(), SIGINT);
    _exit(interrupts.Requested() ? 8 : 7);
  });
  CHECK(WEXITSTATUS(status) == 7);
}

}  // namespace
}  // namespace erfnet
