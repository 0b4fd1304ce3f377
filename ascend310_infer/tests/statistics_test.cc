#include "statistics.h"

#include <doctest/doctest.h>

#include <vector>

namespace erfnet {
namespace {

TEST_CASE("percentiles lie between the two nearest values, as numpy's") {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) {
    values.push_back(i);
  }
  const Summary summary = Summarize(values);
  CHECK(summary.mean == doctest::Approx(50.5));
  CHECK(summary.p50 == doctest::Approx(50.5));
  CHECK(summary.p95 == doctest::Approx(95.05));
  CHECK(summary.p99 == doctest::Approx(99.01));
}

TEST_CASE("one value is all of them, and no value is zero") {
  CHECK(Summarize({7}).p99 == 7);
  CHECK(Summarize({}).mean == 0);
}

TEST_CASE("the peak of memory grows with what was used") {
  const std::uint64_t before = PeakMemory();
  CHECK(before > 0);
  std::vector<char> used(before + (64U << 20U), 1);
  CHECK(used.back() == 1);
  CHECK(PeakMemory() >= before + (32U << 20U));
}

}  // namespace
}  // namespace erfnet
