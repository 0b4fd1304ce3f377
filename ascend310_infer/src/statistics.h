// How long things took, and how much memory the process needed.
#ifndef ASCEND310_INFER_STATISTICS_H_
#define ASCEND310_INFER_STATISTICS_H_

#include <cstdint>
#include <vector>

namespace erfnet {

struct Summary {
  double mean = 0;
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
};

// Of no values, zeros. Percentiles lie between the two nearest values, as numpy's by default.
Summary Summarize(std::vector<double> values);

// The largest resident set of this process so far, in bytes.
std::uint64_t PeakMemory();

}  // namespace erfnet

#endif  // ASCEND310_INFER_STATISTICS_H_
