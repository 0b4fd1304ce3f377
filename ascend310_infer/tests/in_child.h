// Runs what would end or change the whole test program in a process of its own.
#ifndef ASCEND310_INFER_TESTS_IN_CHILD_H_
#define ASCEND310_INFER_TESTS_IN_CHILD_H_

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace erfnet {

// Gives its wait status.
template <typename Work>
int InChild(const Work& work) {
  const pid_t child = fork();
  if (child == 0) {
    // Not doctest's.
    for (const int taken : {SIGINT, SIGTERM, SIGABRT}) {
      std::signal(taken, SIG_DFL);
    }
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_TESTS_IN_CHILD_H_
