// What ends the program with one clear line: the message, and the exit code that erfnet-jobs uses for the same.
#ifndef ASCEND310_INFER_FAULT_H_
#define ASCEND310_INFER_FAULT_H_

#include <stdexcept>
#include <string>

namespace erfnet {

enum class ExitCode {
  kDone = 0,
  kUnexpected = 1,
  kUsage = 2,
  kBadData = 3,
  kBadModel = 11,
  kDiskFull = 13,
  kNoDevice = 17,
  kInterrupted = 130,
};

class Fault : public std::runtime_error {
 public:
  Fault(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  [[nodiscard]] ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_FAULT_H_
