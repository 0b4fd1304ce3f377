#include "confusion.h"

#include <doctest/doctest.h>

#include <vector>

namespace {

TEST_CASE("counts hits and misses") {
  const std::vector<std::uint8_t> truth = {0, 0, 0, 1, 1, 19, 255};
  const std::vector<std::uint8_t> prediction = {0, 0, 1, 1, 19, 0, 0};
  erfnet::Confusion confusion;
  confusion.Add(truth.data(), prediction.data(), truth.size());
  CHECK(confusion.Count(0, 0) == 2);
  CHECK_MESSAGE(confusion.Count(1, erfnet::kClasses) == 1, "a prediction of 'ignore' counts against its true class");
  CHECK(confusion.Iou(0).value_or(-1) == doctest::Approx(2.0 / 3.0).epsilon(1e-12));
  CHECK(confusion.Iou(1).value_or(-1) == doctest::Approx(1.0 / 3.0).epsilon(1e-12));
  CHECK_MESSAGE(!confusion.Iou(2).has_value(), "a class that does not occur has no IoU");
  CHECK_MESSAGE(confusion.MeanIou() == doctest::Approx(0.5).epsilon(1e-12), "the mean is over the classes that occur");
}

TEST_CASE("counts a class that is only predicted") {
  const std::vector<std::uint8_t> truth = {4};
  const std::vector<std::uint8_t> prediction = {7};
  erfnet::Confusion confusion;
  confusion.Add(truth.data(), prediction.data(), truth.size());
  CHECK(confusion.Iou(7) == 0.0);
  CHECK_MESSAGE(confusion.MeanIou() == 0.0, "both classes count");
}

TEST_CASE("is zero without pixels") { CHECK(erfnet::Confusion().MeanIou() == 0.0); }

}  // namespace
