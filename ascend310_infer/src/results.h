// What became of the pictures of a pipeline, told in their order.
#ifndef ASCEND310_INFER_RESULTS_H_
#define ASCEND310_INFER_RESULTS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image.h"
#include "pictures.h"
#include "reporter.h"

namespace erfnet {

enum Step : std::size_t { kRead, kPrepare, kPredict, kWrite, kSteps };

// Milliseconds.
using Times = std::array<double, kSteps>;

// All may be called by any thread.
class Results {
 public:
  Results(const std::vector<Picture>& pictures, std::optional<Size> measured_at, Reporter& reporter);

  void Skipped(std::size_t index, const std::string& reason);
  void Done(std::size_t index, Files files, const Times& times);
  // Of a picture that has a label: `size` pixels of both, train ids.
  void Compared(const Image& truth, const Image& prediction);

  // Tells what still waits for others that did not come, and how it ended; `threads` each step had.
  End Finish(const std::array<std::size_t, kSteps>& threads);

 private:
  struct Result {
    Files files;
    std::optional<std::string> reason;
  };

  void Add(std::size_t index, Result result);
  void Tell(std::size_t index, const Result& result);
  [[nodiscard]] double Seconds() const;

  const std::vector<Picture>& pictures_;
  Reporter& reporter_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::map<std::size_t, Result> waiting_;
  std::size_t next_ = 0;
  std::size_t done_ = 0;
  std::size_t skipped_ = 0;
  double told_ = 0;
  std::array<std::vector<double>, kSteps> times_;
  std::optional<Metric> metric_;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_RESULTS_H_
