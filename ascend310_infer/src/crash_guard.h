// A library that dies of what it was given, told in one line.
#ifndef ASCEND310_INFER_CRASH_GUARD_H_
#define ASCEND310_INFER_CRASH_GUARD_H_

#include <string>

#include "fault.h"

namespace erfnet {

// While it is there, a signal that ends the process for what its code did (SIGSEGV, SIGFPE, SIGABRT, ...) writes `line`
// to a descriptor, and the process leaves with `code`. Signals that somebody takes already, as sanitizers do, stay his.
// There is one at a time.
class CrashGuard {
 public:
  CrashGuard(int descriptor, ExitCode code, std::string line);
  ~CrashGuard();
  CrashGuard(const CrashGuard&) = delete;
  CrashGuard& operator=(const CrashGuard&) = delete;

 private:
  std::string line_;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_CRASH_GUARD_H_
