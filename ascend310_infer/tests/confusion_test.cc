#include "confusion.h"

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

int failures = 0;

void Expect(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "failed: %s\n", what);
    ++failures;
  }
}

void CountsHitsAndMisses() {
  const std::vector<std::uint8_t> truth = {0, 0, 0, 1, 1, 19, 255};
  const std::vector<std::uint8_t> prediction = {0, 0, 1, 1, 19, 0, 0};
  erfnet::Confusion confusion;
  confusion.Add(truth.data(), prediction.data(), truth.size());
  Expect(confusion.Count(0, 0) == 2, "two pixels of class 0 were found");
  Expect(confusion.Count(1, erfnet::kClasses) == 1, "a prediction of 'ignore' counts against its true class");
  Expect(std::abs(*confusion.Iou(0) - 2.0 / 3.0) < 1e-12, "class 0: 2 of 3");
  Expect(std::abs(*confusion.Iou(1) - 1.0 / 3.0) < 1e-12, "class 1: 1 of 3");
  Expect(!confusion.Iou(2).has_value(), "a class that does not occur has no IoU");
  Expect(std::abs(confusion.MeanIou() - 0.5) < 1e-12, "the mean is over the classes that occur");
}

void CountsAClassThatIsOnlyPredicted() {
  const std::vector<std::uint8_t> truth = {4};
  const std::vector<std::uint8_t> prediction = {7};
  erfnet::Confusion confusion;
  confusion.Add(truth.data(), prediction.data(), truth.size());
  Expect(confusion.Iou(7).has_value() && *confusion.Iou(7) == 0, "a class that is only predicted has IoU 0");
  Expect(confusion.MeanIou() == 0, "both classes count");
}

void IsZeroWithoutPixels() { Expect(erfnet::Confusion().MeanIou() == 0, "no pixels, no IoU"); }

}  // namespace

int main() {
  CountsHitsAndMisses();
  CountsAClassThatIsOnlyPredicted();
  IsZeroWithoutPixels();
  return failures == 0 ? 0 : 1;
}
