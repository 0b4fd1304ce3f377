// What a library writes to the standard streams by itself, kept out of the user's sight until it is needed.
#ifndef ASCEND310_INFER_CAPTURED_OUTPUT_H_
#define ASCEND310_INFER_CAPTURED_OUTPUT_H_

#include <string>

namespace erfnet {

// Starts the program anew with GLOG_v=2 in the environment where that is higher, as in jobs: MindSpore Lite would not
// log the reasons that are looked for. To be called first. Throws std::system_error.
void LetWarningsBeLogged(char* const* argv);

// Takes standard output and error of the whole process from when it is made until Release. With GLOG_v=0 or 1 in the
// environment what was taken is shown then. Throws std::system_error.
class CapturedOutput {
 public:
  CapturedOutput();
  ~CapturedOutput();
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;

  // Gives the streams back, and what was written into them.
  std::string Release();

 private:
  void Restore();

  bool shown_;
  int file_ = -1;
  int output_ = -1;
  int error_ = -1;
};

// The reason in what MindSpore Lite logged: the text of its first error that names one, shortened to a line; nothing
// where it logged no error.
std::string ReasonIn(const std::string& log);

}  // namespace erfnet

#endif  // ASCEND310_INFER_CAPTURED_OUTPUT_H_
